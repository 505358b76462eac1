"""What the wire models are made of: fields that mean the same wherever they stand."""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from chalicelib.domain.identity import ULID
from chalicelib.domain.phone import PHONE_PATTERN
from chalicelib.domain.timezone import UnknownTimezoneError, resolve_timezone

MAX_LIMIT = 500
DEFAULT_LIMIT = 100
LATEST_YEAR = 2199
EXAMPLE_ID = "01K9XZ3V7D8M2N4P6Q8R0S2T4V"

# RFC 3339, section 5.6; nothing else that Python or Pydantic would take for a time.
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_LIMIT = re.compile(r"[0-9]{1,3}")
_LINE_ENDS = frozenset("\n\r\t")

# What `_no_control_characters` checks, in the words that JSON Schema has for it.
_SPACES = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_CONTROL = r"\u0000-\u001f\u007f-\u009f"
_CONTROL_IN_LINES = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
_LINE = f"^[^{_CONTROL}]*[^{_CONTROL}{_SPACES}][^{_CONTROL}]*$"
_LINES = rf"^[^{_CONTROL_IN_LINES}]*[^{_CONTROL}{_SPACES}][^{_CONTROL_IN_LINES}]*$"


class WireModel(BaseModel):
    """A shape on the wire. Nothing is converted and nothing unknown is let pass."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Entity(WireModel):
    """What is stored and can change, as it is shown: answers that show it carry its entity tag."""


def absent() -> Any:  # noqa: ANN401 - stands for a field of any type
    """Be the default of a field that a change need not name; `model_fields_set` tells whether it did."""
    return None


def read_moment(value: object) -> datetime:
    """Read an RFC 3339 time, in UTC; what is finer than a millisecond is cut off.

    Raises:
        ValueError: it is none, has no offset, or lies after the year 2199.
    """
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("must be an RFC 3339 time with an offset, such as 2026-11-23T09:00:00+03:00")
    try:
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("is not a time that exists") from error
    if moment.year > LATEST_YEAR:
        raise ValueError(f"must not be after the year {LATEST_YEAR}")
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def write_moment(moment: datetime) -> str:
    """Write a time as `2026-11-23T06:00:00Z`, with milliseconds if it has some."""
    timespec = "milliseconds" if moment.microsecond else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def _no_control_characters(allowed: frozenset[str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not text.strip():
            raise ValueError("must not be blank")
        if any(unicodedata.category(char) == "Cc" and char not in allowed for char in text):
            raise ValueError("must not contain control characters")
        return text

    return check


def _known_timezone(name: str) -> str:
    try:
        resolve_timezone(name)
    except UnknownTimezoneError as error:
        raise ValueError("must be an IANA time zone or an offset from -12:00 to +14:00") from error
    return name


def _read_limit(value: object) -> int:
    if not isinstance(value, str) or not _LIMIT.fullmatch(value) or not 1 <= int(value) <= MAX_LIMIT:
        raise ValueError(f"must be an integer from 1 to {MAX_LIMIT}")
    return int(value)


_DATE_TIME = WithJsonSchema({"type": "string", "format": "date-time"})

GivenMoment = Annotated[datetime, BeforeValidator(read_moment), _DATE_TIME]
ShownMoment = Annotated[datetime, PlainSerializer(write_moment, return_type=str), _DATE_TIME]
Phone = Annotated[str, Field(pattern=PHONE_PATTERN, description="7 and ten digits", examples=["79161234567"])]
ClientId = Annotated[str, Field(pattern=f"^{ULID.pattern}$", examples=["01K9XZ3V7D8M2N4P6Q8R0S2T4V"])]
OperatorCode = Annotated[str, Field(pattern="^[0-9]{3}$", examples=["916"])]
Tag = Annotated[
    str,
    Field(min_length=1, max_length=64, examples=["vip"], json_schema_extra={"pattern": _LINE}),
    AfterValidator(_no_control_characters(frozenset())),
]
Timezone = Annotated[
    str,
    Field(
        max_length=64,
        description="IANA name or ±HH:MM",
        examples=["Europe/Moscow", "+03:00"],
        json_schema_extra={"format": "time-zone"},
    ),
    AfterValidator(_known_timezone),
]
Text = Annotated[
    str,
    Field(min_length=1, max_length=2000, examples=["Hello"], json_schema_extra={"pattern": _LINES}),
    AfterValidator(_no_control_characters(_LINE_ENDS)),
]
ShownId = Annotated[str, Field(examples=[EXAMPLE_ID])]
ClockTime = Annotated[str, Field(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["09:00"])]


class NoQuery(WireModel):
    """No query parameters."""


class NoBody(WireModel):
    """A body without fields, where there is one."""


class LimitQuery(WireModel):
    """How many items of a list."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), BeforeValidator(_read_limit)] = Field(
        default=DEFAULT_LIMIT, description="items at most"
    )


class PageQuery(LimitQuery):
    """Which page of a list."""

    cursor: Annotated[str, Field(min_length=1, max_length=2048)] | None = Field(
        default=None, description="`next` of the page before"
    )
