"""What a request to DynamoDB wants written: one `Write` an item, whatever the way it was said."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench.item_size import Item, Value
from tests.bench.recorded_calls import RecordedCall
from tests.bench.table_shapes import TableShape, base_name, table_shapes

_SECTIONS = re.compile(r"\b(SET|REMOVE|ADD|DELETE)\b")
_SET = re.compile(r"([#\w]+)\s*=\s*[^:=]*?(:\w+)")
_ADD = re.compile(r"([#\w]+)\s+(:\w+)")
_STATEMENT = re.compile(r'UPDATE "([^"]+)" (SET .+) WHERE (.+)')
_INSERT = re.compile(r'INSERT INTO "([^"]+)" VALUE \{(.+)\}')
_ASSIGNMENT = re.compile(r"(\w+)=\?")
_COMPARISON = re.compile(r"(\w+)\s*(=|<=?|>=?)\s*\?")


@dataclass(frozen=True, slots=True)
class Write:
    """What is to become of one item.

    `item`: the whole item of a put. `changes`: new values of an update, None for what it removes; of `ADD` the
    value that is added, which is of about the size of the sum. Neither: it is deleted, or only `checked`.
    """

    table: TableShape
    key: tuple[str, ...]
    item: Item | None = None
    changes: Mapping[str, Value | None] = field(default_factory=dict)
    checked: bool = False
    is_new: bool = False

    def after(self, before: Item | None) -> Item | None:
        """Return the item as it is when the write took effect."""
        if self.item is not None:
            return self.item
        if self.checked:
            return before
        if not self.changes:
            return None
        after = {**(before or {}), **self.changes}
        return {name: value for name, value in after.items() if value is not None}


def writes_of(call: RecordedCall) -> list[Write]:
    """Read what a call wants written, in the order of the call.

    Raises:
        ValueError: it says so in a way that nobody here has used yet.
    """
    request = call.request
    match call.operation:
        case "PutItem" | "UpdateItem" | "DeleteItem":
            return [_write(call.operation.removesuffix("Item"), request)]
        case "TransactWriteItems":
            return [_write(kind, what) for entry in request["TransactItems"] for kind, what in entry.items()]
        case "BatchExecuteStatement":
            return [_executed(one["Statement"], one["Parameters"]) for one in request["Statements"]]
    raise ValueError(f"what does dynamodb.{call.operation} write?")


def _write(kind: str, what: Mapping[str, Any]) -> Write:
    table = table_shapes()[base_name(what["TableName"])]
    names = what.get("ExpressionAttributeNames", {})
    if kind == "Put":
        item = what["Item"]
        return Write(table, table.key_of(item), item, is_new=_is_new(table, what.get("ConditionExpression", ""), names))
    key = what["Key"]
    if kind == "Update":
        changes = dict(_changes(what["UpdateExpression"], names, what.get("ExpressionAttributeValues", {})))
        return Write(table, table.key_of(key), changes=key | changes)
    return Write(table, table.key_of(key), checked=kind == "ConditionCheck")


def _is_new(table: TableShape, condition: str, names: Mapping[str, str]) -> bool:
    """Tell whether a put that takes effect makes an item: it asks for that by its key."""
    asked = re.findall(r"attribute_not_exists\s*\(\s*([#\w]+)\s*\)", condition)
    return any(names.get(name, name) in table.keys for name in asked) and " OR " not in condition.upper()


def _changes(
    expression: str, names: Mapping[str, str], values: Mapping[str, Value]
) -> Iterator[tuple[str, Value | None]]:
    _, *sections = _SECTIONS.split(expression)
    for verb, section in zip(sections[::2], sections[1::2], strict=True):
        if verb == "REMOVE":
            yield from ((names.get(name, name), None) for name in re.findall(r"[#\w]+", section))
        else:
            assigned = (_SET if verb == "SET" else _ADD).findall(section)
            yield from ((names.get(name, name), values[value]) for name, value in assigned)


def _executed(statement: str, parameters: Sequence[Value]) -> Write:
    if made := _INSERT.fullmatch(statement):
        table = table_shapes()[base_name(made[1])]
        item = dict(zip(re.findall(r"'(\w+)':\?", made[2]), parameters, strict=True))
        return Write(table, table.key_of(item), item, is_new=True)
    read = _STATEMENT.fullmatch(statement)
    if read is None:
        raise ValueError(f"what does this statement write? {statement}")
    table = table_shapes()[base_name(read[1])]
    left = iter(parameters)
    changes = {name: next(left) for name in _ASSIGNMENT.findall(read[2])}
    asked = [(name, sign, next(left)) for name, sign in _COMPARISON.findall(read[3])]
    key = {name: value for name, sign, value in asked if sign == "=" and name in table.keys}
    return Write(table, table.key_of(key), changes=key | changes)
