"""Between domain objects and DynamoDB items, for the hot path: derived from the models, without their overhead."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from pynamodb.models import Model

Item = Mapping[str, Mapping[str, Any]]
Stored = TypeVar("Stored")


class ItemCodec(Generic[Stored]):
    """Write and read flat objects whose fields are named and typed as the model's attributes.

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
        fields = [field.name for field in dataclasses.fields(shape)]  # type: ignore[arg-type]
        unknown = set(fields) - set(attributes)
        if unknown:
            raise TypeError(f"{model.__name__} has no attributes {sorted(unknown)}")
        self._build = build or shape
        self._extra = extra
        self._attributes = {name: (attribute.attr_type, attribute.serialize) for name, attribute in attributes.items()}
        self._writers = [(name, *self._attributes[name]) for name in fields]
        self._readers = [(name, attributes[name].attr_type, attributes[name].deserialize) for name in fields]

    def encode(self, stored: Stored) -> dict[str, dict[str, Any]]:
        """Make the item; a field that is None is not stored."""
        item = {
            name: {kind: serialize(value)}
            for name, kind, serialize in self._writers
            if (value := getattr(stored, name)) is not None
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
        kind, serialize = self._attributes[name]
        return {kind: serialize(value)}
