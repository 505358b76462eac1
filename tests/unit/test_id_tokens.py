from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc.jwk import ECKey

from chalicelib.adapters.id_tokens import IdTokens
from chalicelib.adapters.signing_keys import SigningKeys
from chalicelib.admin.roles import Role, highest_role
from chalicelib.errors import RefusedTokenError
from tests.attacks import raw
from tests.tokens import FAR_AHEAD, ISSUER, KEY, LONG_AGO, signed

CLIENT, NONCE = "vestnik-pages", "the nonce of this login"
TOKENS = IdTokens(SigningKeys([KEY]), ISSUER, CLIENT, 30, lambda: datetime.fromtimestamp(1_800_000_000, UTC))
AUTH0 = {
    "nickname": "ada",
    "name": "ada@example.com",
    "picture": "https://s.gravatar.com/avatar/x",
    "email_verified": True,
    "sub": "auth0|64b5",
    "sid": "x",
    "https://vestnik.example/roles": ["editor", "sender", "something-else"],
}
KEYCLOAK = {
    "typ": "ID",
    "azp": CLIENT,
    "sub": "f3b1c2d4-0000-4000-8000-000000000001",
    "acr": "1",
    "auth_time": LONG_AGO,
    "realm_access": {"roles": ["offline_access", "viewer", "admin"]},
    "preferred_username": "ada",
}


def claims_of(**others: object) -> dict[str, Any]:
    usual = {"iss": ISSUER, "aud": CLIENT, "sub": "ada", "nonce": NONCE, "iat": LONG_AGO, "exp": FAR_AHEAD}
    return {name: value for name, value in (usual | others).items() if value is not None}


def token_of(**others: object) -> str:
    return signed(claims_of(**others), typ="JWT")


@pytest.mark.parametrize(
    ("claims", "claim", "role"),
    [
        (AUTH0, "https://vestnik.example/roles", Role.SENDER),
        (KEYCLOAK, "realm_access.roles", Role.ADMIN),
        ({"aud": [CLIENT], "roles": "viewer editor"}, "roles", Role.EDITOR),
        ({"aud": [CLIENT, "other"], "azp": CLIENT, "roles": []}, "roles", None),
        ({"token_use": "id", "roles": {"admin": True}}, "roles", None),
    ],
)
def test_id_tokens_of_known_issuers_tell_who_it_is_and_the_role(
    claims: dict[str, Any], claim: str, role: Role | None
) -> None:
    found = TOKENS.verify(token_of(**claims), NONCE)
    assert found["sub"] == claims.get("sub", "ada")
    assert highest_role(found, claim) is role


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nonce": "of another login"}, "another login"),
        ({"nonce": None}, "another login"),
        ({"nonce": ["x"]}, "another login"),
        ({"aud": "another-client"}, "another client"),
        ({"aud": None}, "another client"),
        ({"aud": []}, "another client"),
        ({"aud": [CLIENT, "other"]}, "another client"),
        ({"aud": [CLIENT, "other"], "azp": "other"}, "another client"),
        ({"azp": "other"}, "another client"),
        ({"iss": "https://attacker.test"}, "iss"),
        ({"exp": LONG_AGO}, "expired"),
        ({"exp": None}, "exp"),
        ({"iat": None}, "iat"),
        ({"iat": FAR_AHEAD}, "iat"),
        ({"sub": None}, "no subject"),
        ({"sub": ""}, "no subject"),
        ({"token_use": "access"}, "no id token"),
        ({"typ": "Bearer"}, "no id token"),
    ],
)
def test_an_id_token_that_is_not_of_this_login_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedTokenError, match=said):
        TOKENS.verify(token_of(**changes), NONCE)


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (raw({"alg": "none", "typ": "JWT"}, claims_of(), b"x"), "not allowed"),
        (raw({"alg": "HS256", "typ": "JWT"}, claims_of(), b"x"), "not allowed"),
        (signed(claims_of(), typ="at+jwt"), "no id token"),
        (signed(claims_of(), ECKey.generate_key("P-256", {"kid": "mine"}), typ="JWT"), "does not have"),
        (signed(claims_of(), ECKey.generate_key("P-256", {"kid": "mine"}), typ="JWT", kid=KEY.kid), "signature"),
        ("nonsense", "no JWT"),
    ],
)
def test_a_forged_id_token_is_refused(token: str, said: str) -> None:
    with pytest.raises(RefusedTokenError, match=said):
        TOKENS.verify(token, NONCE)
