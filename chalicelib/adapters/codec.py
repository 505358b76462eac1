"""Between domain objects and DynamoDB items, for the hot path: derived from the models, without their overhead."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from pynamodb.attributes import Attribute, NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

Item = Mapping[str, Mapping[str, Any]]
Stored = TypeVar("Stored")

# Most rows hold several of these, and a number costs on its whole way; other defaults are stored, so that conditions
# find them.
_LEFT_OUT = (None, 0, False)
# All numbers of ours are whole: without PynamoDB's way over JSON, ten times as fast.
_PLAIN: Mapping[type[Attribute[Any]], tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    NumberAttribute: (str, int),
    UnicodeAttribute: (str, str),
}


class ItemCodec(Generic[Stored]):
    """Write and read flat objects whose fields are named and typed as the model's attributes, numbers as whole ones.

    A field that is None, or whose default is 0 or False and that has it, is not stored.

    Args:
        model: says which attribute is stored under which type, and how.
        shape: the dataclass of the objects; each of its fields is an attribute of the model.
        build: makes the object from the attributes of its fields, absent ones left out; the shape itself if not given.
        extra: attributes that are computed from the object and not read back, such as index keys.
    """

    def __init__(
        self,
        model: type[Model],
        shape: type[Stored],
        *,
        build: Callable[..., Stored] | None = None,
        extra: Callable[[Stored], Mapping[str, Any]] | None = None,
    ) -> None:
        attributes = model.get_attributes()
        fields = dataclasses.fields(shape)  # type: ignore[arg-type]
        unknown = {field.name for field in fields} - set(attributes)
        if unknown:
            raise TypeError(f"{model.__name__} has no attributes {sorted(unknown)}")
        self._build = build or shape
        self._extra = extra
        self._attributes = {name: _conversions(attribute) for name, attribute in attributes.items()}
        self._writers = []
        self._readers = []
        for field in fields:
            kind, serialize, deserialize = self._attributes[field.name]
            absent = field.default if field.default in _LEFT_OUT else None
            self._writers.append((field.name, kind, serialize, absent))
            self._readers.append((field.name, kind, deserialize))

    def encode(self, stored: Stored) -> dict[str, dict[str, Any]]:
        """Make the item."""
        item = {
            name: {kind: serialize(value)}
            for name, kind, serialize, absent in self._writers
            if (value := getattr(stored, name)) is not None and value != absent
        }
        if self._extra:
            item |= {name: self.value(name, value) for name, value in self._extra(stored).items()}
        return item

    def decode(self, item: Item) -> Stored:
        """Make the object of an item."""
        return self._build(
            **{name: deserialize(item[name][kind]) for name, kind, deserialize in self._readers if name in item}
        )

    def value(self, name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the attribute holds
        """Write one value as the attribute of this name is stored: for keys and conditions."""
        kind, serialize, _ = self._attributes[name]
        return {kind: serialize(value)}


def _conversions(attribute: Attribute[Any]) -> tuple[str, Callable[[Any], Any], Callable[[Any], Any]]:
    plain = _PLAIN.get(type(attribute), (attribute.serialize, attribute.deserialize))
    return (attribute.attr_type, *plain)
