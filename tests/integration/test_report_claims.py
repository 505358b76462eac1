"""What the port `ReportClaims` promises, of the adapter and of its fake."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier

import pytest

from chalicelib.adapters.report_claims import KEPT, PREFIX, DynamoReportClaims
from chalicelib.adapters.tables import ControlItem, bind
from chalicelib.errors import TransientError
from chalicelib.ports import ReportClaims
from tests.aws_errors import answered, error, first_answer_lost
from tests.builders import NOW
from tests.emulator import running_emulator
from tests.fakes.reports import FakeReportClaims
from tests.tables import clear_tables, create_tables

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
DAY, OTHER_DAY = date(2026, 11, 22), date(2026, 11, 23)
UNTIL = NOW + MINUTE


@pytest.fixture(scope="module")
def emulated() -> Iterator[None]:
    """Run the emulator: moto is not safe among threads."""
    with running_emulator():
        create_tables("claims")
        yield
        bind("unbound")


@pytest.fixture
def stored(emulated: None) -> Iterator[DynamoReportClaims]:  # noqa: ARG001 - the tables
    yield DynamoReportClaims()
    clear_tables()


@pytest.fixture(params=["dynamodb", "fake"])
def claims(request: pytest.FixtureRequest) -> ReportClaims:
    if request.param == "fake":
        return FakeReportClaims()
    adapter: DynamoReportClaims = request.getfixturevalue("stored")
    return adapter


def test_a_day_is_taken_once_and_free_again_when_the_claim_is_over(claims: ReportClaims) -> None:
    assert claims.claim(DAY, "one", now=NOW, until=UNTIL)
    assert not claims.claim(DAY, "two", now=NOW, until=UNTIL)
    assert not claims.claim(DAY, "two", now=UNTIL, until=UNTIL + MINUTE)
    assert claims.claim(OTHER_DAY, "two", now=NOW, until=UNTIL)
    assert claims.claim(DAY, "two", now=UNTIL + SECOND, until=UNTIL + MINUTE)
    assert not claims.claim(DAY, "one", now=UNTIL + SECOND, until=UNTIL + MINUTE)


def test_a_call_that_is_repeated_takes_the_day_again(claims: ReportClaims) -> None:
    assert claims.claim(DAY, "one", now=NOW, until=UNTIL)
    assert claims.claim(DAY, "one", now=NOW, until=UNTIL)


def test_a_day_that_was_given_back_is_free_at_once(claims: ReportClaims) -> None:
    assert claims.claim(DAY, "one", now=NOW, until=UNTIL)
    claims.give_back(DAY, "one")
    assert claims.claim(DAY, "two", now=NOW, until=UNTIL)


def test_nobody_gives_back_the_day_of_another(claims: ReportClaims) -> None:
    claims.give_back(DAY, "one")
    assert claims.claim(DAY, "two", now=NOW, until=UNTIL)
    claims.give_back(DAY, "one")
    assert not claims.claim(DAY, "three", now=NOW, until=UNTIL)


def test_a_day_whose_report_was_sent_is_never_taken_again(claims: ReportClaims) -> None:
    assert claims.claim(DAY, "one", now=NOW, until=UNTIL)
    claims.record_sent(DAY, NOW)
    for owner in ("one", "two"):
        assert not claims.claim(DAY, owner, now=NOW + 60 * MINUTE, until=NOW + 61 * MINUTE)
    claims.give_back(DAY, "one")
    assert not claims.claim(DAY, "two", now=NOW + 60 * MINUTE, until=NOW + 61 * MINUTE)


def test_of_many_at_once_one_takes_the_day(claims: ReportClaims) -> None:
    barrier = Barrier(8)

    def claim(number: int) -> bool:
        barrier.wait(10)
        return claims.claim(DAY, f"call-{number}", now=NOW, until=UNTIL)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(8))) == 1


def test_items_are_forgotten_after_two_months(stored: DynamoReportClaims) -> None:
    stored.claim(DAY, "one", now=NOW, until=UNTIL)
    item = ControlItem.get(f"{PREFIX}#2026-11-22", consistent_read=True)
    assert (item.claimed_until, item.expires_at) == (UNTIL, NOW + KEPT)
    stored.record_sent(DAY, NOW + MINUTE)
    item.refresh(consistent_read=True)
    assert (item.sent_at, item.expires_at) == (NOW + MINUTE, NOW + MINUTE + KEPT)


def test_claim_whose_answer_is_lost_is_still_ones_own(stored: DynamoReportClaims) -> None:
    with first_answer_lost(ControlItem._get_connection().connection.client, "UpdateItem"):
        assert stored.claim(DAY, "one", now=NOW, until=UNTIL)


def test_throttling_is_told_from_a_day_that_is_taken(stored: DynamoReportClaims) -> None:
    client = ControlItem._get_connection().connection.client
    throttled = error("ProvisionedThroughputExceededException")
    with answered(client, "UpdateItem", *[throttled] * 12), pytest.raises(TransientError):
        stored.claim(DAY, "one", now=NOW, until=UNTIL)
