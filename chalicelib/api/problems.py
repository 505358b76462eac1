"""Failures as RFC 9457 `application/problem+json`.

Chalice turns what a view raises into an answer of its own before any middleware sees it; so each view stands
under `answers_problems`.
"""

import logging
from collections.abc import Callable, Sequence
from functools import wraps
from http import HTTPStatus
from typing import ParamSpec

from chalice.app import Response

from chalicelib.errors import ConflictError, FieldError, NotFoundError, TransientError, ValidationError

logger = logging.getLogger(__name__)

Parameters = ParamSpec("Parameters")
MAX_ERRORS = 100  # named in one answer: a body of junk must not make an answer that Lambda refuses


class HttpError(Exception):
    """A request that HTTP itself has a word for: 400, 401, 405, 413, 415."""

    def __init__(self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}


def problem(
    status: int, detail: str, *, errors: Sequence[FieldError] = (), headers: dict[str, str] | None = None
) -> Response:
    """Make a problem; the middleware adds which request it was.

    The body is `{"type", "title", "status", "detail"}`, with 422 also `errors`: `[{"field", "message"}]`.
    """
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
    }
    if errors:
        body["errors"] = [{"field": error.field, "message": error.message} for error in errors[:MAX_ERRORS]]
    return Response(body, {"Content-Type": "application/problem+json", **(headers or {})}, int(status))


def answers_problems(view: Callable[Parameters, Response]) -> Callable[Parameters, Response]:
    """Answer with a problem whatever the view raises."""

    @wraps(view)
    def answering(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Response:
        try:
            return view(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the boundary: nothing may leave it in another shape
            return _problem_of(error)

    return answering


def _problem_of(error: Exception) -> Response:
    failure = as_http_error(error)
    errors = error.errors if isinstance(error, ValidationError) else ()
    return problem(failure.status, str(failure), errors=errors, headers=failure.headers)


def as_http_error(error: Exception) -> HttpError:
    """Say in HTTP's words what went wrong; what is our own fault is logged."""
    match error:
        case HttpError():
            return error
        case ValidationError():
            return HttpError(HTTPStatus.UNPROCESSABLE_ENTITY, "some fields are not valid")
        case NotFoundError():
            return HttpError(HTTPStatus.NOT_FOUND, str(error))
        case ConflictError():
            return HttpError(HTTPStatus.CONFLICT, str(error))
        case TransientError():
            logger.warning("dependency failed", extra={"error": str(error)})
            detail = "something that this request needs does not answer; try again in a moment"
            return HttpError(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "1"})
        case _:
            logger.error("unhandled error", exc_info=error)
            detail = "an error of ours; the log has it under the request's id"
            return HttpError(HTTPStatus.INTERNAL_SERVER_ERROR, detail)
