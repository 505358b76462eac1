from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.access import Grant, read_grant
from chalicelib.errors import RefusedTokenError

CLAIMS = {"sub": "shop", "aud": "vestnik"}


def grant(**claims: object) -> Grant:
    return read_grant({**CLAIMS, **claims}, "vestnik")


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "clients:read stats:read"}, {"clients:read", "stats:read"}),
        ({"scp": "clients:read stats:read"}, {"clients:read", "stats:read"}),
        ({"scp": ["clients:read", "stats:read"]}, {"clients:read", "stats:read"}),
        ({"scope": "openid", "permissions": ["clients:read"]}, {"openid", "clients:read"}),
        ({"scope": "vestnik/clients:read"}, {"vestnik/clients:read", "clients:read"}),
        ({"scope": ""}, set()),
        ({}, set()),
        ({"scope": None, "scp": 7, "permissions": {"admin": True}}, set()),
        ({"permissions": ["admin", 7, None, ["clients:read"]]}, {"admin"}),
    ],
)
def test_scopes_are_found_wherever_an_issuer_writes_them(claims: dict[str, Any], scopes: set[str]) -> None:
    assert grant(**claims).scopes == scopes


@pytest.mark.parametrize(
    ("claims", "subject"),
    [
        ({"sub": "user", "client_id": "page", "azp": "other"}, "user"),
        ({"client_id": "shop", "azp": "other"}, "shop"),
        ({"azp": "shop"}, "shop"),
        ({"sub": "", "client_id": "shop"}, "shop"),
    ],
)
def test_the_subject_is_the_user_or_else_the_client(claims: dict[str, Any], subject: str) -> None:
    assert read_grant({"aud": "vestnik", **claims}, "vestnik").subject == subject


@pytest.mark.parametrize("sub", [None, 7, "", ["shop"]])
def test_a_token_of_nobody_is_refused(sub: object) -> None:
    with pytest.raises(RefusedTokenError, match="no subject"):
        grant(sub=sub)


@pytest.mark.parametrize("aud", ["vestnik", ["vestnik"], ["other", "vestnik"]])
def test_the_audience_is_one_or_one_of_several(aud: object) -> None:
    assert grant(aud=aud).subject == "shop"


@pytest.mark.parametrize("aud", ["other", "", "vestnik2", "Vestnik", [], ["other"], None, 7, {"vestnik": 1}])
def test_a_token_for_somebody_else_is_refused(aud: object) -> None:
    with pytest.raises(RefusedTokenError, match="another audience"):
        grant(aud=aud, scope="vestnik/admin")


def test_without_an_audience_the_scopes_that_name_it_count_and_no_others() -> None:
    cognito = {"sub": "shop", "token_use": "access", "scope": "vestnik/clients:read other/admin stats:read"}
    assert read_grant(cognito, "vestnik").scopes == {"clients:read"}
    with pytest.raises(RefusedTokenError, match="another audience"):
        read_grant({**cognito, "scope": "other/admin stats:read"}, "vestnik")


@pytest.mark.parametrize("kind", [{"token_use": "id"}, {"typ": "ID"}, {"typ": "Refresh"}, {"at_hash": "x"}])
def test_a_token_of_another_kind_is_refused(kind: dict[str, str]) -> None:
    with pytest.raises(RefusedTokenError, match="no access token"):
        grant(scope="admin", **kind)


def test_an_access_token_may_say_that_it_is_one() -> None:
    assert grant(token_use="access", typ="Bearer").subject == "shop"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["vestnik", "admin"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["sub", "client_id", "azp", "aud", "scope", "scp", "permissions", "typ", "token_use", "at_hash"]
)


@given(st.dictionaries(names, json_values, max_size=8))
def test_whatever_claims_are_the_answer_is_a_grant_for_us_or_a_refusal(claims: dict[str, Any]) -> None:
    try:
        granted = read_grant(claims, "vestnik")
    except RefusedTokenError:
        return
    assert granted.subject
    assert claims.get("aud") == "vestnik" or "vestnik" in claims.get("aud", [])
