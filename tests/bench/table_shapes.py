"""Keys, indexes and projections of the tables, out of the models: what decides on the units of a write."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pynamodb.models import Model

from chalicelib.adapters.tables import TABLES
from tests.bench.item_size import Item


@dataclass(frozen=True, slots=True)
class IndexShape:
    """A secondary index. `projected`: names of what an entry holds beside its key and the table's; None is all."""

    keys: frozenset[str]
    projected: frozenset[str] | None

    def entry(self, item: Item | None) -> Item | None:
        """Return what the index holds of an item; None if the item is absent, or without the index's key."""
        if item is None or not self.keys <= item.keys():
            return None
        return {name: value for name, value in item.items() if self.projected is None or name in self.projected}

    def key_of(self, entry: Item) -> Item:
        """Return the part of an entry that says where it lies."""
        return {name: entry[name] for name in self.keys}


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table by its name without the stack's."""

    name: str
    keys: frozenset[str]
    indexes: tuple[IndexShape, ...]

    def key_of(self, item: Item) -> tuple[str, ...]:
        """Return what tells this item from the others of its table."""
        return tuple(next(iter(item[name].values())) for name in sorted(self.keys))


def base_name(table: str) -> str:
    """Return the name of a table without the stack's: `messages` of `vestnik-messages`."""
    return table.rpartition("-")[2]


@cache
def table_shapes() -> Mapping[str, TableShape]:
    """Read all models; by the names without the stack's."""
    shapes = map(_shape, TABLES)
    return {shape.name: shape for shape in shapes}


def _shape(model: type[Model]) -> TableShape:
    keys = frozenset(
        name for name, attribute in model.get_attributes().items() if attribute.is_hash_key or attribute.is_range_key
    )
    schemas = [index._get_schema() for index in model._indexes.values()]
    return TableShape(base_name(model.Meta.table_name), keys, tuple(_index(schema, keys) for schema in schemas))


def _index(schema: Mapping[str, object], table_keys: frozenset[str]) -> IndexShape:
    keys = frozenset(part["AttributeName"] for part in schema["key_schema"])  # type: ignore[attr-defined]
    projection: Mapping[str, object] = schema["projection"]  # type: ignore[assignment]
    if projection["ProjectionType"] == "ALL":
        return IndexShape(keys, None)
    named: list[str] = projection.get("NonKeyAttributes") or []  # type: ignore[assignment]
    return IndexShape(keys, keys | table_keys | frozenset(named))
