"""How large items are, as DynamoDB counts.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Value = Mapping[str, Any]
Item = Mapping[str, Value]

_COLLECTION_OVERHEAD = 3
_ELEMENT_OVERHEAD = 1


def item_size(item: Item) -> int:
    """Count the bytes of an item: its attributes' names and values."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: Value) -> int:
    """Count the bytes of one value, `{"S": "…"}` or alike.

    Raises:
        KeyError: DynamoDB has no such type.
    """
    ((kind, content),) = value.items()
    return _SIZES[kind](content)


def number_size(number: str) -> int:
    """Count the bytes of a number: one per two significant digits, one more, and one for a minus sign."""
    mantissa = number.lower().partition("e")[0]
    digits = mantissa.lstrip("+-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + mantissa.startswith("-")


def _list_size(elements: Sequence[Value]) -> int:
    return _COLLECTION_OVERHEAD + sum(_ELEMENT_OVERHEAD + value_size(element) for element in elements)


def _map_size(content: Item) -> int:
    return _COLLECTION_OVERHEAD + _ELEMENT_OVERHEAD * len(content) + item_size(content)


_SIZES: Mapping[str, Callable[[Any], int]] = {
    "S": lambda text: len(text.encode()),
    "N": number_size,
    "B": lambda encoded: len(encoded) * 3 // 4 - encoded.count("="),
    "BOOL": lambda _: 1,
    "NULL": lambda _: 1,
    "L": _list_size,
    "M": _map_size,
    "SS": lambda texts: sum(len(text.encode()) for text in texts),
    "NS": lambda numbers: sum(map(number_size, numbers)),
}
