"""Who may come in: whoever has the API token."""

import hmac
from http import HTTPStatus

from chalice.app import Request

from chalicelib.api.problems import HttpError


def require_token(request: Request, token: str) -> None:
    """Let a request pass that bears the token. Compared in constant time.

    Raises:
        HttpError: 401, whatever is wrong with it.
    """
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode()):
        raise HttpError(HTTPStatus.UNAUTHORIZED, "a valid bearer token is needed", {"WWW-Authenticate": "Bearer"})
