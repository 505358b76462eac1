import base64
import json
from datetime import UTC, datetime

import pytest

from chalicelib.domain.provider_token import expires_at


def jwt(payload: object) -> str:
    """Make something of a JWT's form; nobody looks at the signature."""
    encoded = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return f"e30.{encoded}.c2lnbmF0dXJl"


@pytest.mark.parametrize("more", ["", "a", "ab", "abc"])
def test_the_end_of_a_jwt_is_read_however_long_it_is(more: str) -> None:
    assert expires_at(jwt({"exp": 1_800_000_000, "x": more})) == datetime(2027, 1, 15, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "opaque",
        "a.b.c",
        "a.é.c",
        "e30.e30.x",
        jwt({"exp": None}),
        jwt({"exp": "soon"}),
        jwt({"exp": 1e300}),
        jwt({"exp": 10**400}),
        jwt([]),
        jwt(7),
        f"e30.{base64.urlsafe_b64encode(b'[' * 100_000).decode()}.x",
    ],
)
def test_what_does_not_say_when_it_ends_has_no_end(token: str) -> None:
    assert expires_at(token) is None
