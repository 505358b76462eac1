from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.adapters.client_repository import DynamoClientRepository
from tests import builders
from tests.bench.bench_stack import GatheredTransactions

PUTS_OF_A_CLIENT = 5  # the client, the lock of its phone, three memberships; and its phone is checked


class Recorder:
    """Keeps the transactions that a DynamoDB client is asked for; all take effect unless told."""

    exceptions = SimpleNamespace(TransactionCanceledException=KeyError)

    def __init__(self) -> None:
        self.transactions: list[list[Any]] = []

    def transact_write_items(self, TransactItems: list[Any]) -> None:  # noqa: N803 - boto3's name
        self.transactions.append(TransactItems)


def load(number: int) -> list[list[Any]]:
    recorder = Recorder()
    gathered = GatheredTransactions(recorder)
    repository = DynamoClientRepository(gathered)
    for index in range(number):
        repository.create(builders.client(id=builders.ulid(index), phone=f"7916{index:07}", tag="vip"))
    gathered.flush()
    return recorder.transactions


def test_sixteen_clients_are_written_by_one_transaction() -> None:
    assert [len(items) for items in load(45)] == [96, 96, 78]


def test_each_client_is_in_one_transaction_whole() -> None:
    def owners(items: list[Any]) -> list[str]:
        puts = [one["Put"]["Item"] for one in items if "Put" in one]
        return [next(put[name]["S"] for name in ("client_id", "id") if name in put) for put in puts]

    written = [owners(items) for items in load(45)]
    counts = [items.count(client_id) for items in written for client_id in set(items)]
    assert counts == [PUTS_OF_A_CLIENT] * 45


def test_nothing_is_written_without_clients() -> None:
    assert load(0) == []


def test_clients_that_exist_already_are_an_error() -> None:
    class Refuses(Recorder):
        def transact_write_items(self, TransactItems: list[Any]) -> None:  # noqa: ARG002, N803
            error = KeyError("cancelled")
            error.response = {"CancellationReasons": [{"Code": "ConditionalCheckFailed"}]}  # type: ignore[attr-defined]
            raise error

    gathered = GatheredTransactions(Refuses())
    DynamoClientRepository(gathered).create(builders.client())
    with pytest.raises(AssertionError, match="could not be written"):
        gathered.flush()
