"""Who may come in, and what for."""

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from chalice.app import Request

from chalicelib.api.problems import HttpError
from chalicelib.api.scopes import Scope
from chalicelib.errors import RefusedTokenError

if TYPE_CHECKING:
    from chalicelib.adapters.access_tokens import AccessTokens

logger = logging.getLogger(__name__)


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


def authenticate(request: Request, tokens: "AccessTokens | None") -> Principal:
    """Find out who makes a request, by the access token that it bears.

    Raises:
        HttpError: 401, it bears none that is good; 503, there is no issuer that could have made a good one.
        TransientError: whether it is good cannot be told, since its issuer does not answer.
    """
    if tokens is None:
        logger.error("no issuer of access tokens is known, so nobody is let in", extra={"setting": "ISSUER_URL"})
        raise HttpError(
            HTTPStatus.SERVICE_UNAVAILABLE, "nobody is let in: the issuer of access tokens (ISSUER_URL) is not set"
        )
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise HttpError(HTTPStatus.UNAUTHORIZED, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
    try:
        grant = tokens.verify(token)
    except RefusedTokenError as error:
        logger.info("access token refused", extra={"reason": str(error)})
        challenge = f'Bearer error="invalid_token", error_description="{error}"'
        raise HttpError(HTTPStatus.UNAUTHORIZED, str(error), {"WWW-Authenticate": challenge}) from error
    return Principal(grant.subject, frozenset(scope for scope in Scope if scope in grant.scopes))
