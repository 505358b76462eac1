"""The plain DynamoDB client of the hot path: transactions, batches, and what DynamoDB leaves to its callers."""

import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.adapters.light_client import lighten
from chalicelib.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Element = TypeVar("Element")
Item = dict[str, Any]

MAX_TRANSACTION_ITEMS = 100
MAX_STATEMENTS = 25
MAX_BATCH_GET = 100
_TRIES = 8
_BASE_SECONDS = 0.02
_CAP_SECONDS = 1.0
_PASSING = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


_EXPECTED = frozenset({None, "ConditionalCheckFailed", "DuplicateItem"})


class DynamoDB:
    """What the hot path needs of DynamoDB. Thread-safe, as boto3 clients are.

    All calls raise `TransientError` when DynamoDB could not be reached, or stayed throttled through the retries of
    botocore and, for what DynamoDB answers a part at a time, through eight rounds of full jitter here.
    """

    def __init__(self, client: "DynamoDBClient | None" = None, sleep: Callable[[float], None] = time.sleep) -> None:
        config = Config(
            parameter_validation=False,
            connect_timeout=2,
            read_timeout=5,
            retries={"mode": "standard", "total_max_attempts": 4},
            user_agent="vestnik",  # botocore would compose its own for each call, a fifth of what a small one costs
        )
        self.client: DynamoDBClient = client or lighten(boto3.client("dynamodb", config=config))
        self._sleep = sleep

    def write(self, items: Sequence[Any]) -> list[Item] | None:
        """Write up to 100 items in one transaction.

        botocore gives each call a `ClientRequestToken` of its own and keeps it over its transport retries, so that
        an answer that was lost does not write twice.

        Returns:
            None when it took effect. Else nothing did, and each item has a cancellation reason (`Code`, and `Item`
            where one was asked for): at least one `ConditionalCheckFailed`.
        """
        for pause in self._pauses():
            try:
                with translated():
                    self.client.transact_write_items(TransactItems=items)
            except self.client.exceptions.TransactionCanceledException as error:
                reasons: list[Item] = error.response["CancellationReasons"]  # type: ignore[assignment]
                codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
                if "ConditionalCheckFailed" in codes and codes <= _PASSING | {"ConditionalCheckFailed"}:
                    return reasons
                if not codes <= _PASSING:
                    raise
                pause()
            else:
                return None
        raise TransientError("a transaction met conflicts or throttling through all retries")

    def execute(self, statements: Sequence[Any]) -> list[str | None]:
        """Execute up to 25 PartiQL statements, each with a result of its own.

        Returns:
            For each statement None, or why it took no effect: `ConditionalCheckFailed` or `DuplicateItem`.
        """
        results: list[str | None] = [None] * len(statements)
        pending = list(range(len(statements)))
        for pause in self._pauses():
            with translated():
                answer = self.client.batch_execute_statement(Statements=[statements[index] for index in pending])
            again = []
            for index, response in zip(pending, answer["Responses"], strict=True):
                code = response.get("Error", {}).get("Code")
                if code in _PASSING:
                    again.append(index)
                elif code not in _EXPECTED:
                    raise RuntimeError(f"statement failed: {response['Error']}")
                else:
                    results[index] = code
            if not again:
                return results
            pending = again
            pause()
        raise TransientError("statements were throttled through all retries")

    def get_many(self, table: str, keys: Collection[Item]) -> list[Item]:
        """Read items by key, consistently and in any order; those that do not exist are left out."""
        found: list[Item] = []
        for chunk in chunks(list(keys), MAX_BATCH_GET):
            wanted: Any = {table: {"Keys": chunk, "ConsistentRead": True}}
            for pause in self._pauses():
                with translated():
                    answer = self.client.batch_get_item(RequestItems=wanted)
                found += answer["Responses"].get(table, [])
                wanted = answer.get("UnprocessedKeys")
                if not wanted:
                    break
                pause()
            else:
                raise TransientError("reads were throttled through all retries")
        return found

    def _pauses(self) -> Iterator[Callable[[], None]]:
        for attempt in range(_TRIES):
            ceiling = min(_CAP_SECONDS, _BASE_SECONDS * 2**attempt)
            yield lambda ceiling=ceiling: self._sleep(random.uniform(0, ceiling))  # type: ignore[misc]  # noqa: S311 - jitter


@contextmanager
def translated() -> Iterator[None]:
    """Turn what passes by itself (no connection, throttling, conflicts) into `TransientError`."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in _PASSING:
            raise TransientError(str(error)) from error
        raise
    except BotoCoreError as error:
        raise TransientError(str(error)) from error


def chunks(elements: Sequence[Element], size: int) -> Iterator[Sequence[Element]]:
    """Cut a sequence into pieces of at most so many elements."""
    for start in range(0, len(elements), size):
        yield elements[start : start + size]
