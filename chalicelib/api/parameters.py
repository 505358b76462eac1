"""What a request says, read and checked: body, query and path."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar, cast
from urllib.parse import unquote

from chalice.app import MultiDict, Request
from pydantic import ValidationError as PydanticValidationError

from chalicelib.api.problems import MAX_ERRORS, HttpError
from chalicelib.api.schemas import EXAMPLE_ID, NoQuery, WireModel
from chalicelib.domain.identity import ULID
from chalicelib.domain.phone import PHONE_PATTERN, is_phone
from chalicelib.errors import FieldError, NotFoundError, ValidationError

Model = TypeVar("Model", bound=WireModel)

MAX_BODY_BYTES = 1_048_576
MAX_DEPTH = 32
_FIELD_SHOWN = 200
_MESSAGE_IDS = 1 << 53
_MESSAGE_ID = re.compile(r"[1-9][0-9]{0,15}")


def read_body(request: Request, model: type[Model]) -> Model:
    """Read a JSON object.

    JSON is parsed by the standard library, not by Pydantic: an unpaired surrogate or a name that stands twice is
    then an error of a field, with its name.

    Raises:
        HttpError: 400, it is not JSON in UTF-8, or nested deeper than 32 levels; 413, it is larger than 1 MiB.
        ValidationError: fields are unknown, missing or wrong; or there are query parameters.
    """
    read_query(request, NoQuery)
    raw = raw_body(request)
    try:
        parsed = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise HttpError(HTTPStatus.BAD_REQUEST, "the body is not JSON in UTF-8") from error
    if _is_deeper(parsed, MAX_DEPTH):
        raise HttpError(HTTPStatus.BAD_REQUEST, f"the body is nested deeper than {MAX_DEPTH} levels")
    if not isinstance(parsed, dict):
        raise ValidationError(FieldError("body", "must be a JSON object"))
    return validated(model, parsed)


def read_optional_body(request: Request, model: type[Model]) -> Model:
    """Read a JSON object where there is a body; without one, each field has its default.

    Raises:
        HttpError, ValidationError: as `read_body` does.
    """
    if raw_body(request):
        return read_body(request, model)
    read_query(request, NoQuery)
    return model()


def raw_body(request: Request) -> bytes:
    """Read the body as it came.

    Raises:
        HttpError: 400, what the gateway hands over is no base64, or no text; 413, it is larger than 1 MiB.
    """
    try:
        raw = request.raw_body
    except ValueError as error:
        raise HttpError(HTTPStatus.BAD_REQUEST, "the body cannot be read") from error
    if len(raw) > MAX_BODY_BYTES:
        raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {MAX_BODY_BYTES} bytes")
    return cast("bytes", raw)  # Chalice says str too, and never returns one


def read_query(request: Request, model: type[Model]) -> Model:
    """Read the query string.

    Raises:
        ValidationError: parameters are unknown, repeated or wrong.
    """
    parameters = request.query_params or MultiDict({})
    repeated = [name for name in parameters if len(parameters.getlist(name)) > 1]
    if repeated:
        raise ValidationError(*(FieldError(name[:_FIELD_SHOWN], "stands there twice") for name in repeated))
    return validated(model, dict(parameters))


def could_be_id(text: str) -> bool:
    """Tell whether a part of a path has the shape of some id."""
    return bool(ULID.fullmatch(text) or _MESSAGE_ID.fullmatch(text))


def read_id(text: str, what: str) -> str:
    """Read the id of a client, a mailing or an import out of the path.

    Raises:
        NotFoundError: nothing has such an id.
    """
    id_ = unquote(text)
    if not ULID.fullmatch(id_):
        raise NotFoundError(f"there is no such {what}")
    return id_


def read_message_id(text: str) -> int:
    """Read the id of a message out of the path: a positive integer below 2^53.

    Raises:
        NotFoundError: no message has such an id.
    """
    digits = unquote(text)
    if not _MESSAGE_ID.fullmatch(digits) or int(digits) >= _MESSAGE_IDS:
        raise NotFoundError("there is no such message")
    return int(digits)


@dataclass(frozen=True, slots=True)
class PathParameter:
    """A part of a path: how it is read, and its JSON schema."""

    read: Callable[[str], Any]
    schema: Mapping[str, Any]


def read_phone(text: str) -> str:
    """Read a phone out of the path.

    Raises:
        NotFoundError: it is none, and so not suppressed either.
    """
    phone = unquote(text)
    if not is_phone(phone):
        raise NotFoundError("this phone is not suppressed")
    return phone


_ULID_SCHEMA = {"type": "string", "pattern": f"^{ULID.pattern}$", "examples": [EXAMPLE_ID]}

PATH_PARAMETERS: Mapping[str, PathParameter] = {
    "client_id": PathParameter(partial(read_id, what="client"), _ULID_SCHEMA),
    "mailing_id": PathParameter(partial(read_id, what="mailing"), _ULID_SCHEMA),
    "import_id": PathParameter(partial(read_id, what="import"), _ULID_SCHEMA),
    "message_id": PathParameter(
        read_message_id, {"type": "integer", "format": "int64", "minimum": 1, "maximum": _MESSAGE_IDS - 1}
    ),
    "phone": PathParameter(read_phone, {"type": "string", "pattern": PHONE_PATTERN, "examples": ["79161234567"]}),
}


def known_ids(path_parameters: Mapping[str, str]) -> Mapping[str, str]:
    """Pick what looks like our ids; whatever else stands in a path may be a phone, and is not for the log."""
    return {
        name: value
        for name, value in path_parameters.items()
        if name.endswith("_id") and (ULID.fullmatch(value) or (name == "message_id" and _MESSAGE_ID.fullmatch(value)))
    }


def validated(model: type[Model], given: Mapping[str, Any]) -> Model:
    """Make a shape of what is given.

    Raises:
        ValidationError: fields are unknown, missing or wrong.
    """
    try:
        return model.model_validate(given)
    except PydanticValidationError as error:
        issues = error.errors(include_url=False, include_input=False, include_context=False)
        raise ValidationError(
            *(
                FieldError(
                    ".".join(map(str, issue["loc"]))[:_FIELD_SHOWN] or "body",
                    issue["msg"].removeprefix("Value error, "),
                )
                for issue in issues[:MAX_ERRORS]
            )
        ) from error


def _is_deeper(value: object, levels: int) -> bool:
    """Tell whether arrays and objects stand in each other more than so many levels deep."""
    level = [value]
    for _ in range(levels):
        level = [inner for outer in level for inner in _members(outer) if isinstance(inner, (dict, list))]
    return bool(level)


def _members(value: object) -> Collection[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValidationError(FieldError(name[:_FIELD_SHOWN], "stands there twice"))
        found[name] = value
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
