import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from chalicelib.adapters.secrets import Secrets, Token
from chalicelib.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Store:
    """Secrets Manager behind Powertools' cache: a value is read again only by force."""

    def __init__(self, *values: str | bytes | Exception) -> None:
        self.values: Iterator[str | bytes | Exception] = iter(values)
        self.kept: str | bytes | None = None
        self.reads = 0

    def get(self, _name: str, *, max_age: int, force_fetch: bool) -> str | bytes:
        assert max_age == 60
        if self.kept is None or force_fetch:
            self.reads += 1
            value = next(self.values)
            if isinstance(value, Exception):
                raise value
            self.kept = value
        return self.kept


def secrets(store: Store) -> Secrets:
    return Secrets(store)  # type: ignore[arg-type]


def test_a_secret_is_its_value_without_white_space() -> None:
    assert secrets(Store(" token\n")).get("name") == "token"


@pytest.mark.parametrize("value", ["", " \n", b"bytes", GetParameterError("denied")])
def test_what_is_no_token_is_a_passing_error_and_opens_nothing(value: str | bytes | Exception) -> None:
    with pytest.raises(TransientError, match="the secret name"):
        secrets(Store(value)).get("name")


def test_a_refused_token_is_read_again() -> None:
    token = Token(secrets(Store("old", "new")), "name")
    assert token.current() == "old"
    assert token.renewed("old") == "new"
    assert token.current() == "new"


def test_a_token_that_another_thread_renewed_is_not_read_again() -> None:
    store = Store("old", "new")
    token = Token(secrets(store), "name")
    token.current()
    token.renewed("old")
    assert token.renewed("old") == "new"
    assert store.reads == 2


def test_a_token_that_stays_refused_is_read_again_at_most_every_ten_seconds() -> None:
    store = Store("old", "old", "new")
    token = Token(secrets(store), "name")
    token.current()
    assert [token.renewed("old") for _ in range(5)] == ["old"] * 5
    assert store.reads == 2


def test_a_token_says_when_it_ends_if_it_does() -> None:
    claims = base64.urlsafe_b64encode(b'{"exp": 1800000000}').decode().rstrip("=")
    assert Token(secrets(Store(f"e30.{claims}.x")), "name").expires_at() == datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
    assert Token(secrets(Store("opaque")), "name").expires_at() is None
