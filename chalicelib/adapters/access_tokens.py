"""Access tokens: JWTs of an external issuer (RFC 9068, and what issuers made before it)."""

import json
import re
from typing import Any, Protocol

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from chalicelib.domain.access import Grant, read_grant
from chalicelib.errors import RefusedTokenError
from chalicelib.ports import Clock

MAX_TOKEN_BYTES = 8192
# Signatures only, and only those with a public key: what is verified here could never be made here.
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448"}
)
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})


class Keys(Protocol):
    """Where the issuer's keys are."""

    def find(self, key_id: str | None, algorithm: str) -> Key | None:
        """Find the key of a token; None: the issuer has no such key. Raises `TransientError`: nobody knows."""
        ...


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
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._leeway_seconds = leeway_seconds
        self.clock = clock

    def verify(self, token: str) -> Grant:
        """Verify a token and read what it grants.

        Raises:
            RefusedTokenError: it is not good here.
            TransientError: the issuer's keys cannot be had, so nobody knows.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise RefusedTokenError(f"the token is longer than {MAX_TOKEN_BYTES} bytes")
        if not _COMPACT.fullmatch(token):
            raise RefusedTokenError("the token is no JWT")
        header = _read_header(token)
        key = self._keys.find(header.get("kid"), header["alg"])
        if key is None:
            raise RefusedTokenError("the token is signed with a key that its issuer does not have")
        try:
            claims = jwt.decode(token, key, registry=_REGISTRY).claims
        except (JoseError, ValueError) as error:
            raise RefusedTokenError("the signature of the token is not valid") from error
        self._check(claims)
        return read_grant(claims, self._audience)

    def _check(self, claims: dict[str, Any]) -> None:
        registry = jwt.JWTClaimsRegistry(
            now=int(self.clock().timestamp()),
            leeway=self._leeway_seconds,
            iss={"essential": True, "value": self._issuer},
            exp={"essential": True},
        )
        try:
            registry.validate(claims)
        except ExpiredTokenError as error:
            raise RefusedTokenError("the token has expired") from error
        except (InvalidClaimError, MissingClaimError) as error:
            raise RefusedTokenError(f"the token lacks this claim or has another than it must: {error.claim}") from error


def _read_header(token: str) -> dict[str, Any]:
    """Read what a token says of itself, before anything is verified.

    joserfc would check some of it; a key has to be found first, and nothing here may end in any other error.
    """
    try:
        header = json.loads(urlsafe_b64decode(token.partition(".")[0].encode()))
    except (ValueError, RecursionError) as error:
        raise RefusedTokenError("the token is no JWT") from error
    if not isinstance(header, dict) or not all(isinstance(header.get(name, ""), str) for name in ("kid", "typ", "alg")):
        raise RefusedTokenError("the token is no JWT")
    if header.get("alg") not in ALGORITHMS:
        raise RefusedTokenError("the token is signed in a way that is not allowed here")
    if header.get("typ", "JWT").lower() not in _TYPES:
        raise RefusedTokenError("this is no access token")
    if "crit" in header or "b64" in header:  # RFC 7515, 4.1.11: to be refused unless understood
        raise RefusedTokenError("the token asks for more than is understood here")
    return header


class _Registry(JWSRegistry):
    """Our algorithms; joserfc's own registry warns at each use of EdDSA that its name is old."""

    def get_alg(self, name: str) -> Any:  # noqa: ANN401 - a model of joserfc that it does not export
        return self.algorithms[name]


# RFC 7515, section 4: what a header has beyond what is known is not looked at.
_REGISTRY = _Registry(strict_check_header=False)
