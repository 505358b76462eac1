from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from chalicelib.adapters.signing_keys import SigningKeys

RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec", "alg": "ES256", "use": "sig"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})


def published(*keys: RSAKey | ECKey | OKPKey | OctKey, **members: object) -> list[dict[str, Any]]:
    return [{**key.as_dict(private=False), **members} for key in keys]


def keys_of(*entries: object) -> SigningKeys:
    return SigningKeys.of({"keys": list(entries)})


def found(keys: SigningKeys, key_id: str | None, algorithm: str) -> str | None:
    key = keys.find(key_id, algorithm)
    return key.kid if key else None


def test_a_key_is_found_by_its_id_and_kind() -> None:
    keys = keys_of(*published(RSA, EC, ED))
    for key_id, algorithm in (("rsa", "RS256"), ("rsa", "PS512"), ("ec", "ES256"), ("ed", "EdDSA"), ("ed", "Ed25519")):
        assert found(keys, key_id, algorithm) == key_id
    for key_id, algorithm in (("rsa", "ES256"), ("ec", "RS256"), ("ed", "ES256"), ("other", "RS256"), ("", "RS256")):
        assert found(keys, key_id, algorithm) is None


def test_a_key_that_names_its_algorithm_is_for_no_other() -> None:
    assert found(keys_of(*published(EC)), "ec", "ES384") is None


def test_a_token_that_names_no_key_gets_the_only_one_of_its_kind() -> None:
    assert found(keys_of(*published(RSA, EC)), None, "RS256") == "rsa"
    two = [*published(RSA), *published(RSA, kid="rsa2")]
    assert found(keys_of(*two), None, "RS256") is None
    assert found(keys_of(*two), "rsa2", "RS256") == "rsa2"


def test_a_key_that_lost_its_name_still_serves_tokens_that_name_none() -> None:
    entry = {name: value for name, value in published(EC)[0].items() if name != "kid"}
    assert keys_of(entry).find(None, "ES256") is not None


@pytest.mark.parametrize(
    "entry",
    [
        published(OctKey.generate_key(256, {"kid": "oct"}))[0] | {"k": "c2VjcmV0"},
        published(RSA, use="enc")[0],
        published(OKPKey.generate_key("X25519", {"kid": "x"}))[0],
        published(RSA, n="AQAB")[0],
        published(RSA, n=7)[0],
        published(RSA, n=None)[0],
        published(EC, crv="P-1")[0],
        published(EC, x="AAAA")[0],
        published(EC, kid=7)[0],
        {"kty": "AKP", "kid": "post-quantum", "pub": "x"},
        {"kty": "RSA"},
        {"kty": []},
        {},
        [],
        "key",
        None,
    ],
)
def test_a_key_that_is_of_no_use_is_passed_over(entry: object) -> None:
    keys = keys_of(entry, *published(ED))
    assert [found(keys, None, algorithm) for algorithm in ("RS256", "ES256", "EdDSA")] == [None, None, "ed"]
    with pytest.raises(ValueError, match="no key"):
        keys_of(entry)


def test_an_rsa_key_below_2048_bits_is_none() -> None:
    with pytest.warns(UserWarning, match="2048"):
        short = RSAKey.generate_key(1024, {"kid": "short"})
    with pytest.raises(ValueError, match="no key"):
        keys_of(*published(short))


@pytest.mark.parametrize("keys", [None, {}, "keys", 7])
def test_what_is_no_key_set_is_said(keys: object) -> None:
    with pytest.raises(ValueError, match="no JWK Set"):
        SigningKeys.of({"keys": keys})
