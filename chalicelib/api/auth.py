"""Who may come in, and what for."""

import hmac
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
    from chalicelib.adapters.secrets import Token

logger = logging.getLogger(__name__)

_DOTS_OF_A_JWT = 2


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
    token = _bearer_token(request)
    try:
        grant = tokens.verify(token)
    except RefusedTokenError as error:
        logger.info("access token refused", extra={"reason": str(error)})
        raise _refused(str(error)) from error
    return Principal(grant.subject, frozenset(scope for scope in Scope if scope in grant.scopes))


def authenticate_scraper(request: Request, tokens: "AccessTokens | None", secret: "Token | None") -> Principal:
    """Find out who asks for metrics: whoever bears the scrape secret may, and nothing else; the others as ever.

    Tokens have two dots, the secret has none: an issuer that does not answer keeps no scraper out, nor a secret that
    cannot be read a token.

    Raises: as `authenticate`, and `TransientError` if the secret cannot be read.
    """
    if secret is None or request.headers.get("authorization", "").count(".") == _DOTS_OF_A_JWT:
        return authenticate(request, tokens)
    if not hmac.compare_digest(_bearer_token(request).encode(), secret.current().encode()):
        logger.info("scrape secret refused")
        raise _refused("this is neither an access token nor the scrape secret")
    return Principal("scraper", frozenset({Scope.STATS_READ}))


def _bearer_token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise HttpError(HTTPStatus.UNAUTHORIZED, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
    return str(token)


def _refused(why: str) -> HttpError:
    challenge = f'Bearer error="invalid_token", error_description="{why}"'
    return HttpError(HTTPStatus.UNAUTHORIZED, why, {"WWW-Authenticate": challenge})
