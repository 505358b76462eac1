"""What an access token grants: on whose behalf it speaks, and what that may do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.errors import RefusedTokenError

_SUBJECTS = ("sub", "client_id", "azp")
_SCOPES = ("scope", "scp", "permissions")


@dataclass(frozen=True, slots=True)
class Grant:
    """On whose behalf a request is made, and the scopes that were granted for it."""

    subject: str
    scopes: frozenset[str]


def read_grant(claims: Mapping[str, Any], audience: str) -> Grant:
    """Read what claims grant at `audience`; that they are the issuer's and of this time is for the caller to check.

    Issuers differ in where they write it:
    - the subject: `sub`; without one the client itself, as `client_id` or `azp`
    - scopes: `scope`, a string with spaces (RFC 9068), `scp` (Azure, Okta), `permissions`, a list (Auth0)
    - the audience: `aud`; Cognito has none in access tokens, and puts it before each scope: `vestnik/clients:read`

    Raises:
        RefusedTokenError: they are for somebody else, or are not those of an access token.
    """
    if _is_of_another_kind(claims):
        raise RefusedTokenError("this is no access token")
    subject = next((name for key in _SUBJECTS if isinstance(name := claims.get(key), str) and name), None)
    if subject is None:
        raise RefusedTokenError("the token names no subject")
    scopes = {scope for key in _SCOPES for scope in _words(claims.get(key))}
    prefix = f"{audience}/"
    ours = {scope.removeprefix(prefix) for scope in scopes if scope.startswith(prefix)}
    if "aud" not in claims and ours:
        return Grant(subject, frozenset(ours))
    if not _is_meant(claims.get("aud"), audience):
        raise RefusedTokenError("the token is for another audience")
    return Grant(subject, frozenset(scopes | ours))


def _is_of_another_kind(claims: Mapping[str, Any]) -> bool:
    """Tell an id token or a refresh token, where its issuer makes it known; RFC 9068 has a header for that."""
    return (
        claims.get("token_use", "access") != "access"  # Cognito
        or claims.get("typ", "Bearer") != "Bearer"  # Keycloak
        or "at_hash" in claims  # OpenID Connect Core 1.0, section 3.1.3.6: in id tokens only
    )


def _is_meant(named: object, audience: str) -> bool:
    return audience in named if isinstance(named, list) else named == audience


def _words(granted: object) -> list[str]:
    if isinstance(granted, str):
        return granted.split()
    return [word for word in granted if isinstance(word, str)] if isinstance(granted, list) else []
