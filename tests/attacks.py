"""Tokens that somebody forges, and what the API says to each."""

import base64
import hmac
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from joserfc.jwk import ECKey, KeyParameters, RSAKey
from joserfc.jws import serialize_compact

from tests.tokens import FAR_AHEAD, signed

Signer = RSAKey | ECKey

AGO = 1_600_000_000
NO_JWT = "the token is no JWT"
NO_SIGNATURE = "the signature of the token is not valid"
NOT_ALLOWED = "the token is signed in a way that is not allowed here"
NO_SUCH_KEY = "the token is signed with a key that its issuer does not have"
NO_ACCESS_TOKEN = "this is no access token"
ANOTHER_AUDIENCE = "the token is for another audience"


class Attack(NamedTuple):
    """What is tried, the credentials after `Bearer `, and the answer's words."""

    name: str
    credentials: str
    said: str


def attacks(key: Signer, claims: dict[str, Any]) -> Iterator[Attack]:
    """Make every attack on an API that takes tokens with these claims, signed with this key."""
    good = signed(claims, key)
    header, payload, signature = good.split(".")
    yield from _on_signatures(key, claims, good)
    yield from _on_keys(key, claims)
    yield from _on_headers(key, claims)
    yield from _on_claims(key, claims)
    for name, credentials in (
        ("cut off", good[:-1]),
        ("without its signature", f"{header}.{payload}"),
        ("with an empty signature", f"{header}.{payload}."),
        ("with a fourth part", f"{good}.{signature}"),
        ("two tokens", f"{good} {good}"),
        ("two tokens with a comma", f"{good}, Bearer {good}"),
        ("another scheme before it", f"Bearer {good}"),
        ("with base64 padding", f"{header}=.{payload}.{signature}"),
        ("with a line break in it", f"{header}.{payload}\r\n.{signature}"),
        ("with a header smuggled in", f"{good}\r\nX-Subject: admin"),
        ("with a NUL at its end", f"{good}\0"),
        ("with letters that are none", f"{header}.{payload}.{'ж' * 20}"),
        ("no token at all", "nonsense"),
        ("quoted", f'"{good}"'),
    ):
        yield Attack(name, credentials, NO_SIGNATURE if name == "cut off" else NO_JWT)
    yield Attack("huge", signed({**claims, "padding": "x" * 6000}, key), "the token is longer than 8192 bytes")
    yield Attack("a megabyte", "x" * 1_000_000, "the token is longer than 8192 bytes")


def _on_signatures(key: Signer, claims: dict[str, Any], good: str) -> Iterator[Attack]:
    header, payload, signature = good.split(".")
    for alg in ("none", "None", "NONE", "nOnE", ""):
        yield Attack(f"alg {alg!r}", raw({"alg": alg, "typ": "JWT", "kid": key.kid}, claims, b"x"), NOT_ALLOWED)
    yield Attack("alg none, no signature", raw({"alg": "none"}, claims, b""), NO_JWT)
    public = key.as_pem(private=False)
    for name, secret in (
        ("the public key", public),
        ("the public key, trimmed", public.strip()),
        ("the public JWK", json.dumps(key.as_dict(private=False)).encode()),
        ("nothing", b""),
    ):
        for alg in ("HS256", "HS512"):
            forged = raw_hmac({"alg": alg, "typ": "at+jwt", "kid": key.kid}, claims, secret)
            yield Attack(f"{alg} with {name}", forged, NOT_ALLOWED)
    richer = _encoded({**claims, "scope": "admin", "sub": "somebody"})
    yield Attack("other claims under its signature", f"{header}.{richer}.{signature}", NO_SIGNATURE)
    yield Attack("a signature of zeros", f"{header}.{payload}.{_encoded_bytes(bytes(64))}", NO_SIGNATURE)
    yield Attack("RSA1_5, which encrypts", raw({"alg": "RSA1_5", "enc": "A128GCM"}, claims, b"x"), NOT_ALLOWED)
    yield Attack("another algorithm of the key's kind", _of_another_algorithm(key, claims), NO_SUCH_KEY)


def _on_keys(key: Signer, claims: dict[str, Any]) -> Iterator[Attack]:
    mine: KeyParameters = {"kid": "mine"}
    own: Signer = RSAKey.generate_key(2048, mine) if isinstance(key, RSAKey) else ECKey.generate_key("P-256", mine)
    public = own.as_dict(private=False)
    yield Attack("an unknown key", signed(claims, own), NO_SUCH_KEY)
    yield Attack("an own key under the issuer's name", signed(claims, own, kid=key.kid), NO_SIGNATURE)
    for name, extra in (
        ("the key in the header (jwk)", {"jwk": public}),
        ("an address of keys (jku)", {"jku": "https://attacker.test/keys"}),
        ("an address of a certificate (x5u)", {"x5u": "https://attacker.test/certificate"}),
    ):
        yield Attack(name, signed(claims, own, **extra), NO_SUCH_KEY)
        yield Attack(f"{name}, under the issuer's name", signed(claims, own, kid=key.kid, **extra), NO_SIGNATURE)
    for kid in ("../../etc/passwd", "' OR 1=1 --", "x" * 100, "", "\r\nX-Injected: 1", "\0"):
        yield Attack(f"kid {kid[:20]!r}", signed(claims, own, kid=kid), NO_SUCH_KEY)


def _on_headers(key: Signer, claims: dict[str, Any]) -> Iterator[Attack]:
    usual = {"alg": _algorithm(key), "typ": "at+jwt", "kid": key.kid}
    for kid in (7, None, True, ["a"], {"a": 1}):
        yield Attack(f"kid {kid!r}", raw({**usual, "kid": kid}, claims, b"x"), NO_JWT)
    wrong: tuple[object, ...] = (7, None, ["ES256"], {})
    for alg in wrong:
        yield Attack(f"alg {alg!r}", raw({**usual, "alg": alg}, claims, b"x"), NO_JWT)
    for name, header in (
        ("a header that is a list", "[]"),
        ("a header that is a text", '"alg"'),
        ("a header that is no JSON", "{alg}"),
        ("a deep header", "[" * 5000),
        ("a header of a huge number", '{"alg": ' + "9" * 5000 + "}"),
        ("a header in another encoding", '{"alg": "\xff"}'),
    ):
        encoded = _encoded_bytes(header.encode("latin-1"))
        yield Attack(name, f"{encoded}.{_encoded(claims)}.{_encoded_bytes(b'x')}", NO_JWT)
    yield Attack("a header of 3 KB", raw({**usual, "x": "x" * 3000}, claims, b"x"), NO_SIGNATURE)
    for typ in ("logout+jwt", "dpop+jwt", "id_token", ""):
        yield Attack(f"typ {typ!r}", signed(claims, key, typ=typ), NO_ACCESS_TOKEN)
    understood = "the token asks for more than is understood here"
    yield Attack("a critical extension", raw({**usual, "crit": ["exp"], "exp": 1}, claims, b"x"), understood)
    yield Attack("an unencoded payload", raw({**usual, "b64": False}, claims, b"x"), understood)


def _on_claims(key: Signer, claims: dict[str, Any]) -> Iterator[Attack]:
    def lacking(name: str) -> str:
        return f"the token lacks this claim or has another than it must: {name}"

    expired = "the token has expired"
    for name, changes, said in (
        ("expired", {"exp": AGO}, expired),
        ("without an end", {"exp": None}, lacking("exp")),
        ("of an end that is a text", {"exp": str(FAR_AHEAD)}, lacking("exp")),
        ("of an end that is true", {"exp": True}, lacking("exp")),
        ("of an end before all time", {"exp": -1}, expired),
        ("not yet valid", {"nbf": FAR_AHEAD}, lacking("nbf")),
        ("issued in the future", {"iat": FAR_AHEAD}, lacking("iat")),
        ("of another issuer", {"iss": "https://attacker.test"}, lacking("iss")),
        ("of almost the issuer", {"iss": f"{claims['iss']}/"}, lacking("iss")),
        ("without an issuer", {"iss": None}, lacking("iss")),
        ("of several issuers", {"iss": [claims["iss"]]}, lacking("iss")),
        ("for another audience", {"aud": "other"}, ANOTHER_AUDIENCE),
        ("for other audiences", {"aud": ["other", f"{claims['aud']}s"]}, ANOTHER_AUDIENCE),
        ("for no audience", {"aud": None}, ANOTHER_AUDIENCE),
        ("for an empty list of audiences", {"aud": []}, ANOTHER_AUDIENCE),
        ("for an audience in an object", {"aud": {"vestnik": 1}}, lacking("aud")),
        ("an id token for a page", {"aud": "vestnik-pages", "at_hash": "x"}, NO_ACCESS_TOKEN),
        ("an id token for the API itself", {"at_hash": "x"}, NO_ACCESS_TOKEN),
        ("an id token of Cognito", {"token_use": "id"}, NO_ACCESS_TOKEN),
        ("a refresh token of Keycloak", {"typ": "Refresh"}, NO_ACCESS_TOKEN),
        ("of nobody", {"sub": None}, "the token names no subject"),
        ("of an empty name", {"sub": ""}, "the token names no subject"),
    ):
        changed = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        changed.pop("client_id", None)
        yield Attack(name, signed(changed, key), said)
    yield Attack("claims that are a list", _signed_text("[]", key), NO_SIGNATURE)
    yield Attack("claims that are no JSON", _signed_text("{", key), NO_SIGNATURE)


def raw(header: dict[str, Any], claims: dict[str, Any], signature: bytes) -> str:
    """Put a token together, whatever it is worth."""
    return f"{_encoded(header)}.{_encoded(claims)}.{_encoded_bytes(signature)}"


def raw_hmac(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """Sign with a secret, as HS256 and HS512 do; no library would take a public key for one."""
    content = f"{_encoded(header)}.{_encoded(claims)}"
    digest = "sha256" if header["alg"] == "HS256" else "sha512"
    return f"{content}.{_encoded_bytes(hmac.digest(secret, content.encode(), digest))}"


def _signed_text(text: str, key: Signer) -> str:
    return serialize_compact({"alg": _algorithm(key), "kid": key.kid}, text.encode(), key)


def _of_another_algorithm(key: Signer, claims: dict[str, Any]) -> str:
    other = "RS512" if isinstance(key, RSAKey) else "ES512"
    return raw({"alg": other, "typ": "at+jwt", "kid": key.kid}, claims, b"x" * 132)


def _algorithm(key: Signer) -> str:
    return "RS256" if isinstance(key, RSAKey) else "ES256"


def _encoded(content: dict[str, Any]) -> str:
    return _encoded_bytes(json.dumps(content).encode())


def _encoded_bytes(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
