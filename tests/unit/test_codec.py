from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from chalicelib.adapters.codec import ItemCodec
from chalicelib.adapters.tables import TimestampAttribute


class ThingItem(Model):
    class Meta:
        table_name = "things"

    name = UnicodeAttribute(hash_key=True)
    made_at = TimestampAttribute(null=True)
    note = UnicodeAttribute(null=True)
    pieces = NumberAttribute(null=True)
    version = NumberAttribute(null=True)
    hidden = BooleanAttribute(null=True)
    initial = UnicodeAttribute(null=True)


@dataclass(frozen=True)
class Thing:
    name: str
    made_at: datetime | None = None
    note: str | None = None
    pieces: int = 0
    version: int = 1
    hidden: bool = False


@dataclass(frozen=True)
class Measured:
    name: str
    pieces: int


CODEC = ItemCodec(ThingItem, Thing)
PLAIN = Thing("lamp")
WHOLE = Thing("lamp", datetime(2026, 11, 23, 6, 1, 2, 345000, UTC), "bright", 2**53 - 1, 7, hidden=True)


def test_each_attribute_is_stored_as_its_model_says() -> None:
    assert CODEC.encode(WHOLE) == {
        "name": {"S": "lamp"},
        "made_at": {"N": "1795413662345"},
        "note": {"S": "bright"},
        "pieces": {"N": "9007199254740991"},
        "version": {"N": "7"},
        "hidden": {"BOOL": True},
    }


def test_what_is_none_zero_or_false_by_default_is_not_stored() -> None:
    assert CODEC.encode(PLAIN) == {"name": {"S": "lamp"}, "version": {"N": "1"}}


def test_zero_is_stored_where_it_is_no_default() -> None:
    assert ItemCodec(ThingItem, Measured).encode(Measured("lamp", 0)) == {"name": {"S": "lamp"}, "pieces": {"N": "0"}}


@pytest.mark.parametrize("thing", [PLAIN, WHOLE, replace(WHOLE, pieces=0), replace(WHOLE, hidden=False)])
def test_what_was_stored_is_read_back(thing: Thing) -> None:
    assert CODEC.decode(CODEC.encode(thing)) == thing


def test_defaults_that_are_stored_are_read_as_well() -> None:
    stored = CODEC.encode(PLAIN) | {"pieces": {"N": "0"}, "hidden": {"BOOL": False}}
    assert CODEC.decode(stored) == PLAIN


def test_an_item_without_what_has_no_default_is_refused() -> None:
    with pytest.raises(TypeError, match="pieces"):
        ItemCodec(ThingItem, Measured).decode({"name": {"S": "lamp"}})


def test_computed_attributes_are_stored_and_not_read_back() -> None:
    codec = ItemCodec(ThingItem, Thing, extra=lambda thing: {"initial": thing.name[0]})
    item = codec.encode(PLAIN)
    assert item == CODEC.encode(PLAIN) | {"initial": {"S": "l"}}
    assert codec.decode(item) == PLAIN


def test_what_builds_the_object_gets_the_attributes_that_are_there() -> None:
    codec = ItemCodec(ThingItem, Thing, build=lambda **given: Thing(**given | {"note": ", ".join(given)}))
    assert codec.decode(CODEC.encode(PLAIN)).note == "name, version"


def test_values_are_written_alone_for_keys_and_conditions() -> None:
    assert CODEC.value("pieces", 0) == {"N": "0"}
    assert CODEC.value("made_at", WHOLE.made_at) == {"N": "1795413662345"}


def test_a_field_that_is_no_attribute_is_refused() -> None:
    @dataclass
    class Odd:
        name: str
        colour: str

    with pytest.raises(TypeError, match="colour"):
        ItemCodec(ThingItem, Odd)
