"""Read and write request units of DynamoDB on demand, by its rules.

A write takes a unit per begun KB of the larger of the item before and after, twice that in a transaction; and of each
secondary index a unit per begun KB of the entry that it adds, removes or changes: two of them where an entry's key
changes. A write whose condition failed takes its units all the same, and none of the indexes. A read takes a unit per
begun 4 KB, half of it if eventually consistent: items of a batch one by one, those of a query together.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html (Provisioned throughput considerations)
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html (Capacity management)
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench.item_size import Item, item_size
from tests.bench.recorded_calls import RecordedCall
from tests.bench.table_shapes import IndexShape, TableShape, base_name, table_shapes
from tests.bench.writes import Write, writes_of

REMEMBERED = 20_000  # items, some 5 KB each; what is forgotten is counted as if it were as dear as can be
WRITE_BYTES, READ_BYTES = 1024, 4096
OK = 200
FREE = frozenset({"DescribeTable", "DescribeTimeToLive"})
CONDITION_FAILED = (
    "ConditionalCheckFailedException",
    "TransactionCanceledException",
    "ConditionalCheckFailed",
    "DuplicateItem",
)


@dataclass(frozen=True, slots=True)
class Units:
    """What one call consumed, by table. `assumed`: writes whose units of indexes were taken to be as many as can be."""

    reads: Mapping[str, float] = field(default_factory=dict)
    writes: Mapping[str, int] = field(default_factory=dict)
    assumed: int = 0


def write_units(table: TableShape, before: Item | None, after: Item | None, *, in_transaction: bool = False) -> int:
    """Count what it takes to make of one item the other; None: it does not exist."""
    return _table_units(before, after, in_transaction=in_transaction) + sum(
        _index_units(index, index.entry(before), index.entry(after)) for index in table.indexes
    )


def dearest_units(write: Write, *, in_transaction: bool = False) -> int:
    """Count what a write takes at the most, not knowing the item before; that this is no larger is taken for granted.

    Each index whose key is written has an entry to remove and one to add, an index of which only other attributes
    are written has one to change.
    """
    after = write.after(None)
    written = write.changes.keys() - write.table.keys
    units = _table_units(None, after, in_transaction=in_transaction)
    for index in () if write.checked else write.table.indexes:
        entry = {
            name: value for name, value in (after or {}).items() if index.projected is None or name in index.projected
        }
        if not write.changes:
            units += _begun(entry, WRITE_BYTES) * (2 if index.entry(after) else 1)
        elif written & index.keys:
            units += _begun(entry, WRITE_BYTES) * 2
        elif index.projected is None or written & index.projected:
            units += _begun(entry, WRITE_BYTES)
    return units


class UnitMeter:
    """Counts units call after call; remembers items as they were last seen, to know what a write did to the indexes."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, tuple[str, ...]], Item | None] = OrderedDict()

    def measure(self, call: RecordedCall) -> Units:
        """Count what a call consumed, and learn from it. One without an answer counts as if it had taken effect.

        Raises:
            ValueError: an operation, expression or statement that nobody here has used yet.
        """
        if call.service != "dynamodb" or call.operation in FREE:
            return Units()
        if call.status not in {OK, None} and call.error not in CONDITION_FAILED:
            return Units()  # throttled or refused: not billed
        match call.operation:
            case "GetItem":
                return self._read(call.request, [call.request["Key"]], [call.answer.get("Item")])
            case "BatchGetItem":
                return self._read_batch(call)
            case "Query":
                return self._read_query(call)
        in_transaction = call.operation == "TransactWriteItems"
        writes: Counter[str] = Counter()
        assumed = 0
        for write, refusal in _with_refusals(call):
            if refusal is None:
                units, guessed = self._took_effect(write, in_transaction=in_transaction)
                assumed += guessed
            else:
                units = self._refused(write, refusal, in_transaction=in_transaction)
            writes[write.table.name] += units
        return Units(writes=writes, assumed=assumed)

    def _took_effect(self, write: Write, *, in_transaction: bool) -> tuple[int, bool]:
        """Return the units, and whether they had to be assumed."""
        key = (write.table.name, write.key)
        if not write.is_new and key not in self._seen:
            if not write.changes and not write.checked:
                self._learn(key, write.item)
            units = dearest_units(write, in_transaction=in_transaction)
            return units, units > _table_units(None, write.after(None), in_transaction=in_transaction)
        before = None if write.is_new else self._seen[key]
        after = write.after(before)
        self._learn(key, after)
        return write_units(write.table, before, after, in_transaction=in_transaction), False

    def _refused(self, write: Write, refusal: Mapping[str, Any], *, in_transaction: bool) -> int:
        key = (write.table.name, write.key)
        if "Item" in refusal:
            self._learn(key, refusal["Item"])
        before = self._seen.get(key)
        return _table_units(before, write.after(before), in_transaction=in_transaction)

    def _read(self, request: Mapping[str, Any], keys: Sequence[Item], items: Sequence[Item | None]) -> Units:
        table = table_shapes()[base_name(request["TableName"])]
        for key, item in zip(keys, items, strict=True):
            self._learn((table.name, table.key_of(key)), item)
        return Units(reads={table.name: _share(request) * sum(_begun(item, READ_BYTES) for item in items)})

    def _read_batch(self, call: RecordedCall) -> Units:
        reads: dict[str, float] = {}
        for name, wanted in call.request["RequestItems"].items():
            table = table_shapes()[base_name(name)]
            unread = {table.key_of(key) for key in call.answer.get("UnprocessedKeys", {}).get(name, {}).get("Keys", [])}
            found = {table.key_of(item): item for item in call.answer.get("Responses", {}).get(name, [])}
            keys = [key for key in wanted["Keys"] if table.key_of(key) not in unread]
            items = [found.get(table.key_of(key)) for key in keys]
            reads |= self._read({"TableName": name, **wanted}, keys, items).reads
        return Units(reads=reads)

    def _read_query(self, call: RecordedCall) -> Units:
        request, items = call.request, call.answer.get("Items", [])
        if call.answer.get("ScannedCount", len(items)) != len(items) or "ProjectionExpression" in request:
            raise ValueError(f"how large is what this query has read? {request}")
        table = table_shapes()[base_name(request["TableName"])]
        if "IndexName" not in request:
            for item in items:
                self._learn((table.name, table.key_of(item)), item)
        steps = max(-(-sum(map(item_size, items)) // READ_BYTES), 1)
        return Units(reads={table.name: _share(request) * steps})

    def _learn(self, key: tuple[str, tuple[str, ...]], item: Item | None) -> None:
        self._seen[key] = item
        self._seen.move_to_end(key)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


def _with_refusals(call: RecordedCall) -> Iterator[tuple[Write, Mapping[str, Any] | None]]:
    """Yield each write with None if it took effect, else with why not; those that were throttled are not billed."""
    writes = writes_of(call)
    if call.operation == "BatchExecuteStatement":
        for write, answer in zip(writes, call.answer.get("Responses", [{}] * len(writes)), strict=True):
            error = answer.get("Error")
            if error is None or error["Code"] in CONDITION_FAILED:
                yield write, error
    elif call.status in {OK, None}:
        yield from ((write, None) for write in writes)
    else:
        # One condition failed, and all of the transaction was paid for.
        yield from zip(writes, call.answer.get("CancellationReasons", [call.answer] * len(writes)), strict=True)


def _share(read: Mapping[str, Any]) -> float:
    return 1.0 if read.get("ConsistentRead") else 0.5


def _table_units(before: Item | None, after: Item | None, *, in_transaction: bool) -> int:
    return max(_begun(before, WRITE_BYTES), _begun(after, WRITE_BYTES)) * (2 if in_transaction else 1)


def _index_units(index: IndexShape, before: Item | None, after: Item | None) -> int:
    if before == after:
        return 0
    if before is None or after is None:
        return _begun(before or after, WRITE_BYTES)
    if index.key_of(before) != index.key_of(after):
        return _begun(before, WRITE_BYTES) + _begun(after, WRITE_BYTES)
    return max(_begun(before, WRITE_BYTES), _begun(after, WRITE_BYTES))


def _begun(item: Item | None, step: int) -> int:
    """Count begun steps of bytes; what does not exist takes one as well."""
    return max(-(-item_size(item or {}) // step), 1)
