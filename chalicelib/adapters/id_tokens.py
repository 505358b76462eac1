"""Id tokens: who has logged in (OpenID Connect Core 1.0, section 3.1.3.7)."""

import hmac
from typing import Any

from chalicelib.adapters.signed_tokens import Keys, SignedTokens
from chalicelib.errors import RefusedTokenError
from chalicelib.ports import Clock

_TYPES = frozenset({"jwt"})


class IdTokens:
    """Tells good id tokens from bad ones.

    Args:
        keys: the issuer's.
        issuer: as `iss` must say.
        client_id: for whom they must be.
        leeway_seconds: by how much the issuer's clock may differ from ours.
        clock: ours.
    """

    def __init__(self, keys: Keys, issuer: str, client_id: str, leeway_seconds: int, clock: Clock) -> None:
        self._tokens = SignedTokens(keys, issuer, leeway_seconds, clock)
        self._client_id = client_id

    def verify(self, token: str, nonce: str) -> dict[str, Any]:
        """Verify a token of the login that had this nonce, and read its claims; `sub` is a text that is not empty.

        Raises:
            RefusedTokenError: it is not good here.
            TransientError: the issuer's keys cannot be had, so nobody knows.
        """
        claims = self._tokens.claims(token, "id token", _TYPES)
        if claims.get("token_use", "id") != "id" or claims.get("typ", "ID") != "ID":  # Cognito, Keycloak
            raise RefusedTokenError("this is no id token")
        if not self._is_ours(claims):
            raise RefusedTokenError("the id token is for another client")
        given = claims.get("nonce")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
            raise RefusedTokenError("the id token is of another login")
        if "iat" not in claims:
            raise RefusedTokenError("the token lacks this claim or has another than it must: iat")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise RefusedTokenError("the id token names no subject")
        return claims

    def _is_ours(self, claims: dict[str, Any]) -> bool:
        audience, party = claims.get("aud"), claims.get("azp")
        if isinstance(audience, list):
            meant = self._client_id in audience and (len(audience) == 1 or party is not None)
        else:
            meant = audience == self._client_id
        return meant and party in {None, self._client_id}
