"""The form of a mailing: what is typed into it, and what the API's shapes make of that."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Self

from chalicelib.admin.local_time import read_local, write_local
from chalicelib.admin.pages import Form
from chalicelib.api.mailing_schemas import ChangeMailingRequest, CreateMailingRequest
from chalicelib.api.parameters import validated
from chalicelib.api.schemas import write_moment
from chalicelib.domain.mailing import Mailing
from chalicelib.domain.timezone import UnknownTimezoneError, resolve_timezone
from chalicelib.errors import FieldError, ValidationError

Faults = Mapping[str, Sequence[str]]

# Which input a field of the API's shapes is typed into.
_INPUTS = {
    "filter.operator_codes": "operator_codes",
    "filter.tags": "tags",
    "window.to": "window_to",
    "window.from": "window_from",
    "window": "window_from",
}
_ITEM = re.compile(r"(filter\.[a-z_]+)\.([0-9]+)")
_MOMENTS = ("start_at", "end_at")


@dataclass(frozen=True, slots=True)
class MailingForm:
    """What stands in the inputs, as text; each is named as its input is.

    Attributes:
        zone: in which the times are meant: the one that was named beside them.
        operator_codes: with blanks or commas between them.
        tags: one a line, for a tag may contain anything else.
    """

    text: str
    start_at: str
    end_at: str
    zone: str
    operator_codes: str = ""
    tags: str = ""
    window_from: str = ""
    window_to: str = ""
    on_uncertain: str = "retry"

    @classmethod
    def of(cls, mailing: Mailing, zone: str) -> Self:
        """Fill in what a mailing is."""
        window = mailing.window
        return cls(
            text=_lines(mailing.text),
            start_at=write_local(mailing.start_at, zone),
            end_at=write_local(mailing.end_at, zone),
            zone=zone,
            operator_codes=" ".join(mailing.filter.operator_codes),
            tags="\n".join(tag.strip() for tag in mailing.filter.tags),
            window_from=f"{window.opens_at:%H:%M}" if window else "",
            window_to=f"{window.closes_at:%H:%M}" if window else "",
            on_uncertain=mailing.on_uncertain.value,
        )

    @classmethod
    def blank(cls, start_at: datetime, end_at: datetime, zone: str) -> Self:
        """Fill in the times alone."""
        return cls("", write_local(start_at, zone), write_local(end_at, zone), zone)

    @classmethod
    def posted(cls, form: Form) -> Self:
        """Take what was posted."""
        return cls(**{each.name: _lines(form.text(each.name)) for each in fields(cls)})

    def create_request(self, *, draft: bool) -> CreateMailingRequest:
        """Make the request to create such a mailing.

        Raises:
            ValidationError: names the fields of the API.
        """
        return self._checked({}, draft=draft)

    def change_request(self, before: Mailing) -> ChangeMailingRequest:
        """Make the request to change a mailing: of what differs from how its form is filled in, and nothing else.

        Raises:
            ValidationError: names the fields of the API.
        """
        _zone_known(self.zone)
        shown = MailingForm.of(before, self.zone)
        # Inputs know minutes; a time that was not touched stays what it is.
        kept = {name: getattr(before, name) for name in _MOMENTS if getattr(self, name) == getattr(shown, name)}
        self._checked(kept, draft=False)
        changed = {name for name, typed in asdict(self).items() if typed != getattr(shown, name)}
        given = self._given({})[0]
        filters = {name: given["filter"][name] for name in changed & {"operator_codes", "tags"}}
        asked = {name: given[name] for name in changed & {"text", "on_uncertain", *_MOMENTS}}
        asked |= {"filter": filters} if filters else {}
        asked |= {"window": given.get("window")} if changed & {"window_from", "window_to"} else {}
        return validated(ChangeMailingRequest, asked)

    def faults(self, error: ValidationError) -> Faults:
        """Sort what is wrong by the input in which it stands; an item of a list is quoted."""
        found: dict[str, list[str]] = {}
        for each in error.errors:
            name, message = each.field, each.message
            if item := _ITEM.fullmatch(name):
                name = item[1]
                items = self._codes if name == "filter.operator_codes" else self._tags
                message = f"{items[int(item[2])]}: {message}"
            found.setdefault(_INPUTS.get(name, name), []).append(message)
        return found

    def differences(self, other: "MailingForm") -> Mapping[str, str]:
        """List what stands in another form where it differs, by input."""
        return {name: value for name, value in asdict(other).items() if value != getattr(self, name)}

    def with_times(self, start_at: datetime, end_at: datetime) -> Self:
        """Fill in other times."""
        return replace(self, start_at=write_local(start_at, self.zone), end_at=write_local(end_at, self.zone))

    def _checked(self, kept: Mapping[str, datetime], *, draft: bool) -> CreateMailingRequest:
        given, wrong = self._given(kept)
        try:
            request = validated(CreateMailingRequest, given | {"draft": draft})
        except ValidationError as error:
            named = {each.field for each in wrong}
            wrong += [each for each in error.errors if each.field not in named]
        if wrong:
            raise ValidationError(*wrong)
        return request

    def _given(self, kept: Mapping[str, datetime]) -> tuple[dict[str, Any], list[FieldError]]:
        """Make the JSON of a request, and list the times that cannot be read."""
        _zone_known(self.zone)
        given: dict[str, Any] = {
            "text": self.text,
            "filter": {"operator_codes": self._codes, "tags": self._tags},
            "on_uncertain": self.on_uncertain,
        }
        window = {"from": self.window_from, "to": self.window_to}
        if any(window.values()):
            given["window"] = {name: typed for name, typed in window.items() if typed}
        wrong = []
        for name in _MOMENTS:
            try:
                moment = kept.get(name) or read_local(getattr(self, name), self.zone)
                given[name] = write_moment(moment)
            except ValueError as error:
                wrong.append(FieldError(name, str(error)))
        return given, wrong

    @property
    def _codes(self) -> list[str]:
        return re.findall(r"[^\s,;]+", self.operator_codes)

    @property
    def _tags(self) -> list[str]:
        return [tag.strip() for tag in self.tags.split("\n") if tag.strip()]


def _zone_known(zone: str) -> None:
    try:
        resolve_timezone(zone)
    except UnknownTimezoneError as error:
        raise ValidationError(FieldError("zone", str(error))) from error


def _lines(text: str) -> str:
    """Write ends of lines as one character: browsers post two."""
    return text.strip().replace("\r\n", "\n")
