import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.errors import TransientError
from chalicelib.services import cached_mailings
from chalicelib.services.cached_mailings import MAX_AGE, READ_AHEAD, CachedMailings
from tests.builders import mailing, ulid
from tests.fakes.clock import FakeClock
from tests.fakes.mailings import FakeMailingRepository
from tests.fakes.watched import Moment, failing, watched

MS = timedelta(milliseconds=1)
MAILING = mailing()
PAUSED = replace(MAILING, status=MailingStatus.PAUSED, version=2)


def nothing() -> object:
    return None


class Reads:
    """Counts the reads of mailings."""

    def __init__(self) -> None:
        self.number = 0
        self.meanwhile = nothing

    def __call__(self, moment: Moment, _name: str) -> None:
        if moment is Moment.AFTER:
            self.number += 1
            self.meanwhile()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def mailings() -> FakeMailingRepository:
    return FakeMailingRepository(MAILING)


@pytest.fixture
def reads() -> Reads:
    return Reads()


@pytest.fixture
def cached(mailings: FakeMailingRepository, reads: Reads, clock: FakeClock) -> CachedMailings:
    return CachedMailings(watched(mailings, reads, "get"), clock)


def test_a_mailing_is_read_once_in_some_time(cached: CachedMailings, reads: Reads, clock: FakeClock) -> None:
    assert cached.get(MAILING.id) == MAILING
    clock.advance(READ_AHEAD - MS)
    assert cached.get(MAILING.id) == MAILING
    assert reads.number == 1


def test_before_it_is_too_old_one_thread_reads_it_again_and_the_others_go_on(
    cached: CachedMailings, mailings: FakeMailingRepository, reads: Reads, clock: FakeClock
) -> None:
    cached.get(MAILING.id)
    mailings.replace(MAILING, PAUSED)
    clock.advance(READ_AHEAD)
    meanwhile: list[Mailing | None] = []
    with ThreadPoolExecutor(1) as other:
        reads.meanwhile = lambda: meanwhile.append(other.submit(cached.get, MAILING.id).result(5))
        assert cached.get(MAILING.id) == PAUSED
    assert meanwhile == [MAILING]
    assert reads.number == 2


def test_what_is_known_counts_until_it_is_too_old_although_it_cannot_be_read(
    mailings: FakeMailingRepository, clock: FakeClock
) -> None:
    error: list[Exception] = []

    def hook(moment: Moment, _name: str) -> None:
        if moment is Moment.BEFORE and error:
            raise error[0]

    cached = CachedMailings(watched(mailings, hook, "get"), clock)
    cached.get(MAILING.id)
    error.append(TransientError("throttled"))
    clock.advance(MAX_AGE - MS)
    assert cached.get(MAILING.id) == MAILING
    clock.advance(MS)
    with pytest.raises(TransientError):
        cached.get(MAILING.id)


def test_a_change_counts_after_two_seconds(
    cached: CachedMailings, mailings: FakeMailingRepository, clock: FakeClock
) -> None:
    cached.get(MAILING.id)
    mailings.replace(MAILING, PAUSED)
    assert cached.get(MAILING.id) == MAILING
    clock.advance(MAX_AGE)
    assert cached.get(MAILING.id) == PAUSED


def test_the_age_counts_from_before_the_read(
    cached: CachedMailings, mailings: FakeMailingRepository, clock: FakeClock, reads: Reads
) -> None:
    reads.meanwhile = lambda: clock.advance(timedelta(seconds=1.5))
    cached.get(MAILING.id)
    reads.meanwhile = nothing
    mailings.replace(MAILING, PAUSED)
    clock.advance(timedelta(seconds=0.5))
    assert cached.get(MAILING.id) == PAUSED


def test_that_there_is_no_such_mailing_is_remembered_too(cached: CachedMailings, reads: Reads) -> None:
    assert cached.get("none") is None
    assert cached.get("none") is None
    assert reads.number == 1


def test_a_failed_read_is_not_remembered(mailings: FakeMailingRepository, clock: FakeClock) -> None:
    cached = CachedMailings(watched(mailings, failing(TransientError("down")), "get"), clock)
    with pytest.raises(TransientError):
        cached.get(MAILING.id)
    assert cached.get(MAILING.id) == MAILING


def test_while_one_thread_reads_the_others_wait_for_what_it_reads(cached: CachedMailings, reads: Reads) -> None:
    others_came, start = threading.Event(), threading.Barrier(8)

    def get() -> Mailing | None:
        start.wait(5)
        return cached.get(MAILING.id)

    # The first one is held until all have had time to come to the lock; were there none, they would read as well.
    reads.meanwhile = lambda: others_came.wait(0.1)
    with ThreadPoolExecutor(8) as threads:
        found = [future.result(5) for future in [threads.submit(get) for _ in range(8)]]
    assert found == [MAILING] * 8
    assert reads.number == 1


def test_memory_is_bounded(cached: CachedMailings, reads: Reads) -> None:
    for number in range(cached_mailings._MAX_ENTRIES + 1):
        cached.get(ulid(number))
    assert len(cached._entries) <= cached_mailings._MAX_ENTRIES
    cached.get(ulid(0))
    assert reads.number == cached_mailings._MAX_ENTRIES + 2
