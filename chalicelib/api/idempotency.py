"""`Idempotency-Key`: a POST that is sent again, because its answer was lost, is answered again and not done again."""

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from chalice.app import Request, Response

from chalicelib.api.auth import Principal
from chalicelib.api.headers import header
from chalicelib.api.parameters import raw_body
from chalicelib.api.problems import HttpError, answers_problems
from chalicelib.bootstrap import application, new_id
from chalicelib.errors import FieldError, InProgressError, ReusedKeyError, ValidationError
from chalicelib.ports import NewId

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def once(
    request: Request, principal: Principal | None, route: Sequence[str], answer: Callable[[NewId], Response]
) -> Response:
    """Answer a request, or as the same request was answered, if it has a key.

    Only what succeeded is kept. All else has done nothing: to do it again is safe, and tells how things are by then.

    Args:
        request: with its body, which must be the same each time, byte by byte.
        principal: whose key it is; an operation that is open to all knows no keys.
        route: what is asked for: the path with its ids.
        answer: does it; is given what makes ids, for what is created: the same one when it is asked again.

    Raises:
        HttpError: 409, the same request is being answered.
        ValidationError: the key is none, or was used with another body.
        TransientError: nobody knows whether it was answered; nothing was done.
    """
    key = header(request, HEADER)
    if key is None or principal is None:
        return answer(new_id)
    if not _KEY.fullmatch(key):
        raise ValidationError(FieldError(HEADER, "must be 1 to 255 visible ASCII characters"))
    scope, asked, kept = (principal.subject, *route, key), raw_body(request), application().kept_answers
    try:
        given = kept.once(
            scope,
            asked,
            cast("LambdaContext", request.lambda_context),
            lambda: _packed(answers_problems(answer)(lambda: kept.id_for(scope, asked, new_id()))),
            lambda packed: packed["status"] < HTTPStatus.MULTIPLE_CHOICES,
        )
    except ReusedKeyError as error:
        raise ValidationError(FieldError(HEADER, "was used with another body")) from error
    except InProgressError as error:
        raise HttpError(HTTPStatus.CONFLICT, str(error), {"Retry-After": "1"}) from error
    response = Response(given.answer["body"], given.answer["headers"], given.answer["status"])
    if given.replayed:
        response.headers[REPLAYED] = "true"
    return response


def _packed(response: Response) -> dict[str, Any]:
    return {"status": int(response.status_code), "headers": response.headers, "body": response.body}
