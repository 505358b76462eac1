"""Signed tokens (JWTs) of an external issuer: their signature and what each of them must claim."""

import json
import re
from collections.abc import Collection
from typing import Any, Protocol

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from chalicelib.errors import RefusedTokenError
from chalicelib.ports import Clock

MAX_TOKEN_BYTES = 8192
# Signatures only, and only those with a public key: what is verified here could never be made here.
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448"}
)
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class Keys(Protocol):
    """Where the issuer's keys are."""

    def find(self, key_id: str | None, algorithm: str) -> Key | None:
        """Find the key of a token; None: the issuer has no such key. Raises `TransientError`: nobody knows."""
        ...


class SignedTokens:
    """Tells tokens of an issuer from others, whatever they are for.

    Args:
        keys: the issuer's.
        issuer: as `iss` must say.
        leeway_seconds: by how much the issuer's clock may differ from ours.
        clock: ours.
    """

    def __init__(self, keys: Keys, issuer: str, leeway_seconds: int, clock: Clock) -> None:
        self._keys = keys
        self._issuer = issuer
        self._leeway_seconds = leeway_seconds
        self._clock = clock

    def claims(self, token: str, kind: str, types: Collection[str]) -> dict[str, Any]:
        """Verify a token and read its claims; for whom they are is for the caller to check.

        Args:
            token: in compact form.
            kind: what it should be, for the refusal of one that is something else.
            types: what it may call itself in its header (`typ`), in small letters.

        Raises:
            RefusedTokenError: it is not good here.
            TransientError: the issuer's keys cannot be had, so nobody knows.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise RefusedTokenError(f"the token is longer than {MAX_TOKEN_BYTES} bytes")
        if not _COMPACT.fullmatch(token):
            raise RefusedTokenError("the token is no JWT")
        header = _read_header(token)
        if header.get("typ", "JWT").lower() not in types:
            raise RefusedTokenError(f"this is no {kind}")
        if "crit" in header or "b64" in header:  # RFC 7515, 4.1.11: to be refused unless understood
            raise RefusedTokenError("the token asks for more than is understood here")
        key = self._keys.find(header.get("kid"), header["alg"])
        if key is None:
            raise RefusedTokenError("the token is signed with a key that its issuer does not have")
        try:
            claims: dict[str, Any] = jwt.decode(token, key, registry=_REGISTRY).claims
        except (JoseError, ValueError) as error:
            raise RefusedTokenError("the signature of the token is not valid") from error
        self._check(claims)
        return claims

    def _check(self, claims: dict[str, Any]) -> None:
        registry = jwt.JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
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
    return header


class _Registry(JWSRegistry):
    """Our algorithms; joserfc's own registry warns at each use of EdDSA that its name is old."""

    def get_alg(self, name: str) -> Any:  # noqa: ANN401 - a model of joserfc that it does not export
        return self.algorithms[name]


# RFC 7515, section 4: what a header has beyond what is known is not looked at.
_REGISTRY = _Registry(strict_check_header=False)
