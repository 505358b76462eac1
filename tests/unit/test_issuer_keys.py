import pytest
from joserfc.jwk import ECKey

from chalicelib.adapters.issuer_keys import IssuerKeys
from chalicelib.adapters.signing_keys import SigningKeys
from chalicelib.errors import TransientError

OLD = ECKey.generate_key("P-256", {"kid": "old"})
NEW = ECKey.generate_key("P-256", {"kid": "new"})
HOUR = 3600.0


class FakePublisher:
    """Publishes what it is told to; None: it does not answer."""

    def __init__(self, *keys: ECKey) -> None:
        self.keys: SigningKeys | None = SigningKeys(keys)
        self.asked = 0

    def read_keys(self) -> SigningKeys:
        self.asked += 1
        if self.keys is None:
            raise TransientError("does not answer")
        return self.keys

    def answers(self, *keys: ECKey) -> None:
        self.keys = SigningKeys(keys)

    def falls_silent(self) -> None:
        self.keys = None


class Kept:
    """Keys under a clock that is moved by hand, in seconds."""

    def __init__(self, publisher: FakePublisher) -> None:
        self.now = 0.0
        self._keys = IssuerKeys(publisher, lambda: self.now)

    def finds(self, kid: str) -> bool:
        return self._keys.find(kid, "ES256") is not None


def test_keys_are_read_when_the_first_is_needed_and_then_kept() -> None:
    publisher = FakePublisher(OLD)
    kept = Kept(publisher)
    assert publisher.asked == 0
    for kept.now in (0, 10, HOUR - 1):
        assert kept.finds("old")
    assert publisher.asked == 1


def test_a_key_that_is_not_known_is_asked_for_at_once() -> None:
    publisher = FakePublisher(OLD)
    kept = Kept(publisher)
    assert kept.finds("old")
    publisher.answers(OLD, NEW)
    kept.now = 5
    assert kept.finds("new")
    assert kept.finds("old")
    assert publisher.asked == 2


def test_the_issuer_is_asked_at_most_every_five_seconds_whatever_tokens_say() -> None:
    publisher = FakePublisher(OLD)
    kept = Kept(publisher)
    for number in range(100):
        kept.now = number / 10
        assert not kept.finds(f"made up {number}")
    assert publisher.asked == 2


def test_keys_are_read_again_after_an_hour_and_those_withdrawn_are_forgotten() -> None:
    publisher = FakePublisher(OLD)
    kept = Kept(publisher)
    assert kept.finds("old")
    publisher.answers(NEW)
    kept.now = HOUR
    assert not kept.finds("old")
    assert kept.finds("new")
    assert publisher.asked == 2


def test_known_keys_go_on_while_the_issuer_is_silent() -> None:
    publisher = FakePublisher(OLD)
    kept = Kept(publisher)
    assert kept.finds("old")
    publisher.falls_silent()
    for kept.now in (HOUR, HOUR + 1, HOUR + 59, HOUR + 60, 30 * HOUR):
        assert kept.finds("old")
    assert publisher.asked == 4
    publisher.answers(NEW)
    kept.now += 60
    assert not kept.finds("old")


def test_nobody_knows_of_an_unknown_key_while_the_issuer_is_silent() -> None:
    publisher = FakePublisher(OLD)
    kept = Kept(publisher)
    assert kept.finds("old")
    publisher.falls_silent()
    for kept.now in (5, 6, 11):
        with pytest.raises(TransientError, match="does not answer"):
            kept.finds("new")
    publisher.answers(OLD)
    kept.now = 20
    assert not kept.finds("new")


def test_without_any_key_it_is_asked_again_after_a_moment() -> None:
    publisher = FakePublisher()
    publisher.falls_silent()
    kept = Kept(publisher)
    for kept.now in (0, 1, 4.9):
        with pytest.raises(TransientError):
            kept.finds("old")
    assert publisher.asked == 1
    publisher.answers(OLD)
    kept.now = 5
    assert kept.finds("old")
