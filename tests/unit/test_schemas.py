import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from chalicelib.api.client_schemas import ChangeClientRequest, CreateClientRequest
from chalicelib.api.mailing_schemas import ChangeMailingRequest, CreateMailingRequest
from chalicelib.api.schemas import MAX_LIMIT, PageQuery, Phone, Tag, Text, read_moment, write_moment
from chalicelib.domain.phone import is_phone

PHONE = TypeAdapter(Phone)
TAG = TypeAdapter(Tag)
TEXT = TypeAdapter(Text)

moments = st.datetimes(datetime(1, 1, 2), datetime(2199, 12, 30)).map(  # noqa: DTZ001 - the offset is drawn beside it
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def accepts(adapter: TypeAdapter[str], text: str) -> bool:
    try:
        adapter.validate_python(text, strict=True)
    except ValidationError:
        return False
    return True


@given(st.from_regex("7[0-9]{10}", fullmatch=True) | st.from_regex(r"7\d{9,11}\s?") | st.text(max_size=12))
def test_the_wire_takes_just_the_phones_that_the_domain_takes(text: str) -> None:
    assert accepts(PHONE, text) == is_phone(text)


@pytest.mark.parametrize("adapter", [TAG, TEXT], ids=["tag", "text"])
@given(
    st.text(st.characters(categories=["Cc", "Zs", "Zl", "Zp"]) | st.characters(codec="utf-8"), min_size=1, max_size=9)
)
def test_the_schema_of_a_text_says_which_characters_are_taken(adapter: TypeAdapter[str], text: str) -> None:
    pattern = adapter.json_schema()["pattern"]
    assert accepts(adapter, text) == bool(re.fullmatch(pattern, text))


@given(moments, offsets)
def test_a_moment_is_the_same_in_every_offset(moment: datetime, offset: timezone) -> None:
    aware = moment.replace(tzinfo=UTC)
    assert read_moment(write_moment(aware)) == aware
    if moment.year > 1:
        assert read_moment(aware.astimezone(offset).isoformat(timespec="microseconds")) == aware


@given(moments)
def test_a_moment_without_an_offset_is_refused(moment: datetime) -> None:
    with pytest.raises(ValueError, match="offset"):
        read_moment(moment.isoformat())


@given(st.text() | st.integers() | st.floats() | st.none() | st.datetimes())
def test_whatever_is_no_moment_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match=r"must|exists"):
        read_moment(value)


@pytest.mark.parametrize("text", ["2026-11-23t06:00:00z", "2026-11-23T06:00:00-00:00", "2026-11-23T06:00:00.0Z"])
def test_all_spellings_of_rfc_3339_are_read(text: str) -> None:
    assert read_moment(text) == datetime(2026, 11, 23, 6, tzinfo=UTC)


def test_what_is_finer_than_a_millisecond_is_cut_off() -> None:
    assert write_moment(read_moment("2026-11-23T06:00:00.123999999Z")) == "2026-11-23T06:00:00.123Z"


@given(st.integers(-10, 2000))
def test_a_limit_is_an_integer_in_its_bounds(number: int) -> None:
    if 1 <= number <= MAX_LIMIT:
        assert PageQuery.model_validate({"limit": str(number)}).limit == number
    else:
        with pytest.raises(ValidationError, match="limit"):
            PageQuery.model_validate({"limit": str(number)})


@given(st.text(max_size=5).filter(lambda text: not (text.isascii() and text.isdigit())))
def test_whatever_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="limit"):
        PageQuery.model_validate({"limit": text})


@pytest.mark.parametrize("model", [ChangeClientRequest, ChangeMailingRequest])
def test_the_schema_of_a_change_asks_for_nothing(model: type[ChangeClientRequest] | type[ChangeMailingRequest]) -> None:
    schema = model.model_json_schema()
    assert "required" not in schema
    nullable = {name for name, field in schema["properties"].items() if {"type": "null"} in field.get("anyOf", [])}
    assert nullable == {"tag"} & schema["properties"].keys() | {"window"} & schema["properties"].keys()


@pytest.mark.parametrize("model", [CreateClientRequest, CreateMailingRequest])
def test_every_request_has_a_schema(model: type[CreateClientRequest] | type[CreateMailingRequest]) -> None:
    assert model.model_json_schema()["additionalProperties"] is False
