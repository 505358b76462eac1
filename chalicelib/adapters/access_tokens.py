"""Access tokens: JWTs of an external issuer (RFC 9068, and what issuers made before it)."""

from chalicelib.adapters.signed_tokens import Keys, SignedTokens
from chalicelib.domain.access import Grant, read_grant
from chalicelib.ports import Clock

_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})


class AccessTokens:
    """Tells good tokens from bad ones.

    Args:
        keys: the issuer's.
        issuer: as `iss` must say.
        audience: as `aud` must say.
        leeway_seconds: by how much the issuer's clock may differ from ours.
        clock: ours.
    """

    def __init__(self, keys: Keys, issuer: str, audience: str, leeway_seconds: int, clock: Clock) -> None:
        self._tokens = SignedTokens(keys, issuer, leeway_seconds, clock)
        self._audience = audience
        self.clock = clock

    def verify(self, token: str) -> Grant:
        """Verify a token and read what it grants.

        Raises:
            RefusedTokenError: it is not good here.
            TransientError: the issuer's keys cannot be had, so nobody knows.
        """
        return read_grant(self._tokens.claims(token, "access token", _TYPES), self._audience)
