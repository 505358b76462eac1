"""Who may come in, and what for."""

import hmac
from dataclasses import dataclass
from http import HTTPStatus

from chalice.app import Request

from chalicelib.api.problems import HttpError
from chalicelib.api.scopes import Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """On whose behalf a request is made, and what that may do."""

    subject: str
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        """Let only those pass who may do this.

        Raises:
            HttpError: 403, naming the scope that is missing.
        """
        if scope not in self.scopes:
            raise HttpError(
                HTTPStatus.FORBIDDEN,
                f"this needs the scope {scope}, which the token does not carry",
                {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
            )


def authenticate(request: Request, token: str) -> Principal:
    """Find out who makes a request: whoever bears the token. Compared in constant time.

    Raises:
        HttpError: 401, whatever is wrong with it.
    """
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode()):
        raise HttpError(HTTPStatus.UNAUTHORIZED, "a valid bearer token is needed", {"WWW-Authenticate": "Bearer"})
    return Principal("api", frozenset(Scope))
