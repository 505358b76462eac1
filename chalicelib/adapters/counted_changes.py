"""Changes that are counted under an import: each in one transaction with its share of the counters."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from chalicelib.adapters.dynamodb import MAX_TRANSACTION_ITEMS, DynamoDB, Item
from chalicelib.adapters.import_repository import counting
from chalicelib.domain.bulk_import import Import, Tally

Change = TypeVar("Change")

_FAILED = "ConditionalCheckFailed"
_ROOM = MAX_TRANSACTION_ITEMS - 1  # one is the counter


@dataclass(frozen=True, slots=True)
class Counted(Generic[Change]):
    """A change: what a transaction writes and checks for it, and what it counts as."""

    change: Change
    items: Sequence[Item]
    tally: Tally


class CountedChanges:
    """Writes changes of any table together with the counters of the import that makes them."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        self._dynamodb = dynamodb

    def write(self, changes: Iterable[Counted[Change]], under: Import, shard: int) -> Sequence[Change]:
        """Write changes, as many a transaction as it takes; returns those that a condition of theirs refused."""
        return [one.change for together in _transactions(changes) for one in self._write(together, under, shard)]

    def _write(self, pending: Sequence[Counted[Change]], under: Import, shard: int) -> Iterator[Counted[Change]]:
        """Write changes in one transaction, without those that it is refused for; yields these."""
        while pending:
            tally = Tally(sum(one.tally.created for one in pending), sum(one.tally.changed for one in pending))
            items = [item for one in pending for item in one.items]
            reasons = self._dynamodb.write([*items, counting(under, shard, tally)])
            if reasons is None:
                return
            each = iter(reasons)
            left = []
            for one in pending:
                if any(reason.get("Code") == _FAILED for reason in list(islice(each, len(one.items)))):
                    yield one
                else:
                    left.append(one)
            pending = left


def _transactions(changes: Iterable[Counted[Change]]) -> Iterator[list[Counted[Change]]]:
    together: list[Counted[Change]] = []
    for one in changes:
        if sum(len(other.items) for other in together) + len(one.items) > _ROOM:
            yield together
            together = []
        together.append(one)
    yield together
