"""Access tokens of an issuer that there is only in tests."""

from collections.abc import Iterable
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.jws import JWSRegistry

from chalicelib.adapters.access_tokens import AccessTokens
from chalicelib.adapters.signing_keys import SigningKeys
from chalicelib.api.scopes import Scope
from chalicelib.bootstrap import Application

ISSUER = "https://issuer.test"
AUDIENCE = "vestnik"
LONG_AGO, FAR_AHEAD = 1_500_000_000, 4_000_000_000  # good at any time that a test's clock shows
KEY = ECKey.generate_key("P-256", {"kid": "the issuer's", "alg": "ES256"})


def claims_of(scopes: Iterable[str] = tuple(Scope), **others: object) -> dict[str, Any]:
    """Make the claims of a good token; None takes one away."""
    claims: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "tester",
        "scope": " ".join(scopes),
        "iat": LONG_AGO,
        "exp": FAR_AHEAD,
        **others,
    }
    return {name: value for name, value in claims.items() if value is not None}


def signed(claims: dict[str, Any], key: Key = KEY, **header: object) -> str:
    """Sign claims; the header says what is usual, and what is given. None takes one away."""
    usual = {"alg": "RS256" if isinstance(key, RSAKey) else "ES256", "typ": "at+jwt", "kid": key.kid, **header}
    said = {name: value for name, value in usual.items() if value is not None}
    anything = JWSRegistry(algorithms=[str(said["alg"])], strict_check_header=False)
    return jwt.encode(said, claims, key, registry=anything, default_type=None)


def token_for(*scopes: str) -> str:
    """Make a good token with these scopes."""
    return signed(claims_of(scopes))


TOKEN = token_for(*Scope)


def trust_tests(built: Application, keys: SigningKeys | None = None) -> None:
    """Have an application take the tokens of tests, without asking anybody for keys."""
    settings = built.settings
    built.__dict__["access_tokens"] = AccessTokens(
        keys or SigningKeys([KEY]), ISSUER, settings.api_audience, settings.token_leeway_seconds, built.clock
    )
