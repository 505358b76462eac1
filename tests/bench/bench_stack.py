"""The ground of a benchmark: a packaged stack of its own as `make up` would start it, and a crowd of clients."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chalicelib.adapters import tables
from chalicelib.adapters.client_repository import DynamoClientRepository
from chalicelib.adapters.dynamodb import MAX_TRANSACTION_ITEMS, DynamoDB
from chalicelib.bootstrap import new_id, utc_now
from chalicelib.domain.client import Client
from chalicelib.domain.phone import operator_code_of
from embedded import EmbeddedStack, StackOptions
from probe import free_port
from tests.e2e.steps import create_mailing, finished
from tests.running_stack import RunningStack

PROVIDER_TOKEN = "header.payload.signature"
LOADERS = 4
WARM = "warm"
REST = "rest"
WARM_CLIENTS = 2_000  # more than go by the express queue, and enough for all senders to be started


@dataclass(frozen=True, slots=True)
class Ground:
    """How stacks are started and how their provider is: `concurrency` of senders, None: as the template has it.

    `emulator` are further variables of the emulator, which its functions inherit. `host`: no functions, infra/host does
    their work.
    """

    latency_ms: float
    concurrency: int | None = None
    emulator: Mapping[str, str] = field(default_factory=dict)
    host: bool = False

    @contextmanager
    def stack(self) -> Iterator[RunningStack]:
        """Run a stack while the block runs."""
        parameters = {} if self.concurrency is None else {"SenderConcurrency": str(self.concurrency)}
        with tempfile.TemporaryDirectory(prefix="vestnik-bench-") as folder:
            options = StackOptions(
                folder=Path(folder),
                port=free_port(),
                parameters=parameters,
                emulator=self.emulator,
                provider_token=PROVIDER_TOKEN,
                host=self.host,
            )
            embedded = EmbeddedStack(options, say=lambda _: None)
            stack = RunningStack(embedded, embedded.up())
            try:
                stack.control(latency_ms=self.latency_ms)
                yield stack
            finally:
                stack.close()


def load_crowd(stack: RunningStack, number: int) -> None:
    """Store so many clients by the application's own repository, sixteen a transaction: the API would take minutes.

    Up to 2,000 of them have the tag `warm`, the others `rest`.
    """
    tables.bind(stack.info.stack_name)
    dynamodb = stack.client("dynamodb")
    now = utc_now()

    def client(index: int) -> Client:
        phone = str(79_000_000_000 + index)
        tag = WARM if index < WARM_CLIENTS else REST
        return Client(new_id(), phone, operator_code_of(phone), tag, "Asia/Yekaterinburg", now, now)

    def load(indexes: Sequence[int]) -> None:
        gathered = GatheredTransactions(dynamodb)
        repository = DynamoClientRepository(gathered)
        for index in indexes:
            repository.create(client(index))
        gathered.flush()

    with ThreadPoolExecutor(LOADERS) as pool:
        list(pool.map(load, [range(first, number, LOADERS) for first in range(LOADERS)]))


def mail_everyone(stack: RunningStack) -> str:
    """Create a mailing to all clients that starts at once; returns its id."""
    return create_mailing(stack, "", filter={})


def warm_up(stack: RunningStack) -> str:
    """Send a mailing that starts each function on a message's way, as often as it runs at once; returns its id."""
    mailing_id = create_mailing(stack, WARM)
    finished(stack, mailing_id)
    return mailing_id


def everyone_asked(stack: RunningStack, number: int, *, deadline_seconds: float) -> None:
    """Wait until the provider has accepted so many messages, without a word to the emulator."""
    deadline = time.monotonic() + deadline_seconds
    while (accepted := stack.received(limit=0)["accepted_unique"]) < number:
        assert time.monotonic() < deadline, f"{accepted} of {number} messages within {deadline_seconds:g} s"
        time.sleep(0.05)


class GatheredTransactions(DynamoDB):
    """Makes one transaction of several small ones: each is still written whole or not at all."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - boto3's clients are made at run time
        super().__init__(client)
        self._waiting: list[Any] = []

    def write(self, items: Sequence[Any]) -> None:
        """Take the items of a transaction; they are written once no more fit in, or by `flush`."""
        if len(self._waiting) + len(items) > MAX_TRANSACTION_ITEMS:
            self.flush()
        self._waiting += items

    def flush(self) -> None:
        """Write what waits."""
        items, self._waiting = self._waiting, []
        reasons = super().write(items) if items else None
        assert reasons is None, f"clients could not be written: {reasons}"
