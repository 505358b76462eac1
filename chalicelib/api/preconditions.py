"""Entity tags and the conditions that requests make of them (RFC 9110, sections 8.8.3 and 13)."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from chalice.app import Request, Response

from chalicelib.api.headers import header
from chalicelib.api.problems import HttpError
from chalicelib.api.schemas import Entity
from chalicelib.errors import FieldError, ValidationError

ANY = "*"
_TAG = r'(?:W/)?"[!#-~\u0080-\u00ff]*"'
TAGS_PATTERN = rf"^(\*|[ \t,]*({_TAG}[ \t,]*)+)$"


@dataclass(frozen=True, slots=True)
class IfMatch:
    """What a change or a deletion was meant for: `*`, or the tags of the states that it may be in.

    Without the header anything is fine. A weak tag is never the same as another here, as RFC 9110 has it.
    """

    tags: Collection[str] | None

    @classmethod
    def of(cls, request: Request) -> Self:
        """Read the header.

        Raises:
            ValidationError: it is no list of entity tags.
        """
        return cls(_tags_in(request, "If-Match"))

    def check(self, entity: Entity) -> None:
        """Let a change pass if it was meant for the present state.

        To be called where what was read is written on condition that nobody has changed it since: then no change in
        between goes unseen.

        Raises:
            HttpError: 412, it has another state.
        """
        if self.tags is None or ANY in self.tags or tag_of(entity) in self.tags:
            return
        raise HttpError(
            HTTPStatus.PRECONDITION_FAILED, "it has changed since: its present entity tag is none of those in If-Match"
        )


def tag_of(entity: Entity) -> str:
    """Make the strong tag of an entity: a hash of what is shown of it."""
    return _tag_of(entity.model_dump(mode="json", by_alias=True))


def tagged(response: Response) -> Response:
    """Add the tag of the entity that a response shows."""
    response.headers["ETag"] = _tag_of(response.body)
    return response


def unless_known(request: Request, response: Response) -> Response:
    """Answer 304 without a body in place of what the client has already, by `If-None-Match`.

    Raises:
        ValidationError: the header is no list of entity tags.
    """
    tag = response.headers.get("ETag", "")
    known = _tags_in(request, "If-None-Match") if tag else None
    if known and (ANY in known or tag in {one.removeprefix("W/") for one in known}):
        return Response("", {"ETag": tag}, HTTPStatus.NOT_MODIFIED)
    return response


def _tag_of(shown: Mapping[str, object]) -> str:
    canonical = json.dumps(shown, sort_keys=True, separators=(",", ":"))
    return f'"{hashlib.sha256(canonical.encode()).hexdigest()[:32]}"'


def _tags_in(request: Request, name: str) -> Collection[str] | None:
    given = header(request, name)
    if given is None:
        return None
    if not re.fullmatch(TAGS_PATTERN, given.strip()):
        raise ValidationError(FieldError(name, 'must be * or a list of entity tags, such as "0a1b2c"'))
    return set(re.findall(_TAG, given)) or {ANY}
