"""How much of everything a request may hold, beside its body."""

from http import HTTPStatus

from chalice.app import MultiDict, Request

from chalicelib.api.problems import HttpError
from chalicelib.errors import FieldError, ValidationError

MAX_HEADER_BYTES = 16_384  # API Gateway itself takes 10,240
MAX_QUERY_BYTES = 8192
MAX_PARAMETERS = 32


def check_size(request: Request) -> None:
    """Refuse what no client of ours would send, before anything looks at it.

    Raises:
        HttpError: 431, the headers are too large; 414, the query is.
        ValidationError: there are too many query parameters.
    """
    if sum(_bytes(name) + _bytes(value) for name, value in request.headers.items()) > MAX_HEADER_BYTES:
        raise HttpError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the headers are larger than {MAX_HEADER_BYTES} bytes"
        )
    parameters = request.query_params or MultiDict({})
    given = [(name, value) for name in parameters for value in parameters.getlist(name)]
    if sum(_bytes(name) + _bytes(value) for name, value in given) > MAX_QUERY_BYTES:
        raise HttpError(HTTPStatus.REQUEST_URI_TOO_LONG, f"the query is larger than {MAX_QUERY_BYTES} bytes")
    if len(given) > MAX_PARAMETERS:
        raise ValidationError(FieldError("query", f"has more than {MAX_PARAMETERS} parameters"))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
