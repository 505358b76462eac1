import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from chalicelib.adapters.access_tokens import AccessTokens
from chalicelib.adapters.signed_tokens import ALGORITHMS
from chalicelib.adapters.signing_keys import SigningKeys
from chalicelib.domain.access import Grant
from chalicelib.errors import RefusedTokenError, TransientError
from tests.attacks import Attack, attacks
from tests.tokens import AUDIENCE, FAR_AHEAD, ISSUER, KEY, claims_of, signed

NOW = 1_800_000_000
LEEWAY = 30
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
KEYS: list[Key] = [
    KEY,
    RSA,
    ECKey.generate_key("P-384", {"kid": "ES384"}),
    ECKey.generate_key("P-521", {"kid": "ES512"}),
    OKPKey.generate_key("Ed25519", {"kid": "Ed25519"}),
    OKPKey.generate_key("Ed448", {"kid": "Ed448"}),
]
PUBLIC = SigningKeys.of({"keys": [key.as_dict(private=False) for key in KEYS]})
TOKENS = AccessTokens(PUBLIC, ISSUER, AUDIENCE, LEEWAY, lambda: datetime.fromtimestamp(NOW, UTC))
ATTACKS = list(attacks(KEY, claims_of(["clients:read"])))


def test_a_good_token_tells_who_it_is_and_what_that_may_do() -> None:
    grant = TOKENS.verify(signed(claims_of(["clients:read", "openid"], sub="shop")))
    assert grant == Grant("shop", frozenset({"clients:read", "openid"}))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_refused_with_its_reason(attack: Attack) -> None:
    with pytest.raises(RefusedTokenError) as refused:
        TOKENS.verify(attack.credentials)
    assert str(refused.value) == attack.said


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_reason_can_stand_in_a_header(attack: Attack) -> None:
    assert attack.said.isascii()
    assert attack.said.isprintable()
    assert not set(attack.said) & {'"', "\\"}  # RFC 6750, section 3


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        *((RSA, algorithm) for algorithm in sorted(ALGORITHMS) if algorithm[:2] in {"RS", "PS"}),
        (KEY, "ES256"),
        (KEYS[2], "ES384"),
        (KEYS[3], "ES512"),
        (KEYS[4], "Ed25519"),
        (KEYS[5], "Ed448"),
    ],
)
def test_every_allowed_algorithm_is_understood(key: Key, algorithm: str) -> None:
    assert TOKENS.verify(signed(claims_of(), key, alg=algorithm)).subject == "tester"


def test_eddsa_is_understood_by_its_old_name() -> None:
    with pytest.warns(UserWarning, match="EdDSA"):
        token = signed(claims_of(), KEYS[4], alg="EdDSA")
    assert TOKENS.verify(token).subject == "tester"


@pytest.mark.parametrize(("key", "algorithm"), [(KEYS[2], "ES256"), (KEY, "ES384"), (KEYS[5], "Ed25519")])
def test_an_algorithm_for_a_key_of_another_curve_is_refused(key: Key, algorithm: str) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": key.kid}).encode()).decode().rstrip("=")
    _, payload, signature = signed(claims_of()).split(".")
    with pytest.raises(RefusedTokenError):
        TOKENS.verify(f"{header}.{payload}.{signature}")


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", "jwt", None])
def test_the_type_is_one_of_an_access_token_or_left_out(typ: str | None) -> None:
    assert TOKENS.verify(signed(claims_of(), typ=typ)).subject == "tester"


def test_a_header_may_say_more_than_is_known() -> None:
    token = signed(claims_of(), nonce="x", x5t="x")
    assert TOKENS.verify(token).subject == "tester"


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"exp": NOW - LEEWAY + 1}, True),
        ({"exp": NOW - LEEWAY}, False),
        ({"exp": NOW + 0.5}, True),
        ({"exp": FAR_AHEAD}, True),
        ({"nbf": NOW + LEEWAY}, True),
        ({"nbf": NOW + LEEWAY + 1}, False),
        ({"iat": NOW + LEEWAY}, True),
        ({"iat": NOW + LEEWAY + 1}, False),
        ({"iat": None}, True),
        ({"iat": "yesterday"}, False),
    ],
)
def test_clocks_may_differ_by_the_leeway_and_no_more(claims: dict[str, object], *, good: bool) -> None:
    token = signed(claims_of(**claims))  # type: ignore[arg-type]
    if good:
        assert TOKENS.verify(token).subject == "tester"
    else:
        with pytest.raises(RefusedTokenError):
            TOKENS.verify(token)


def test_whether_a_token_is_good_is_not_known_while_keys_cannot_be_had() -> None:
    class Silent:
        def find(self, key_id: str | None, algorithm: str) -> Key | None:
            raise TransientError(f"{key_id} {algorithm}")

    silent = AccessTokens(Silent(), ISSUER, AUDIENCE, LEEWAY, TOKENS.clock)
    with pytest.raises(TransientError, match="ES256"):
        silent.verify(signed(claims_of()))
    with pytest.raises(RefusedTokenError):
        silent.verify("what.is.none")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=9)
    | st.sampled_from([*sorted(ALGORITHMS), "at+jwt", "rsa"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
header_names = st.sampled_from(
    ["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "cty", "enc", "zip"]
)


@given(json_values | st.dictionaries(header_names, json_values), json_values, st.binary(max_size=70))
def test_nothing_that_is_made_up_is_taken_or_breaks_it(header: object, payload: object, signature: bytes) -> None:
    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), signature)
    token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    with pytest.raises(RefusedTokenError):
        TOKENS.verify(token)


@given(st.text())
def test_no_text_is_taken_or_breaks_it(text: str) -> None:
    with pytest.raises(RefusedTokenError):
        TOKENS.verify(text)
