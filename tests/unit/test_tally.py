import logging
from collections import Counter
from datetime import datetime, timedelta

import pytest

from chalicelib.domain.figures import Source
from chalicelib.domain.message import Outcome, Reason, put_off
from chalicelib.errors import TransientError
from chalicelib.services.tally import Tally
from tests.builders import NOW, message
from tests.fakes.figures import FakeFigureRepository
from tests.fakes.provider import ACCEPTED, BUSY
from tests.log_lines import log_lines

SECOND = timedelta(seconds=1)


@pytest.fixture
def figures() -> FakeFigureRepository:
    return FakeFigureRepository()


def tally(figures: FakeFigureRepository) -> Tally:
    return Tally(figures, lambda: NOW)


def test_whatever_was_counted_is_one_write(figures: FakeFigureRepository) -> None:
    made = tally(figures)
    for answer in (ACCEPTED, ACCEPTED, BUSY):
        made.answered(answer)
    made.recorded([Outcome(message(), put_off(message(), NOW, Reason.RATE, now=NOW))])
    made.unreadable(Source.QUEUES)
    made.write()
    assert figures.writes == 1
    assert figures.stored.traffic.answers_by_kind["accepted"] == 2
    assert figures.stored.traffic.answers_by_kind["busy"] == 1
    assert figures.stored.traffic.put_offs["rate"] == 1
    assert figures.stored.counts["scrape_error.queues"] == 1
    assert made.unwritten == Counter()


def test_without_anything_counted_nothing_is_written(figures: FakeFigureRepository) -> None:
    tally(figures).write()
    assert figures.writes == 0


def test_the_latest_ticket_of_a_queue_is_known_though_tickets_come_in_disorder(figures: FakeFigureRepository) -> None:
    made = tally(figures)
    for queue, sent_at in (("send", NOW), ("send", NOW - SECOND), ("express", NOW + SECOND)):
        made.received(queue, sent_at)
    made.write()
    assert figures.stored.received == {"send": NOW, "express": NOW + SECOND}


def test_what_cannot_be_written_waits_for_the_next_run(figures: FakeFigureRepository) -> None:
    made = tally(figures)
    made.answered(ACCEPTED)
    made.received("send", NOW)
    figures.error = RuntimeError("access denied")
    with log_lines(logging.ERROR) as lines:
        made.write()
    assert [line.message for line in lines] == ["figures not written; the next run of this process tries again"]
    figures.error = None
    made.answered(ACCEPTED)
    made.received("send", NOW + SECOND)
    made.write()
    assert figures.stored.traffic.answers_by_kind["accepted"] == 2
    assert figures.stored.received == {"send": NOW + SECOND}


def test_the_end_of_the_token_is_written_by_who_has_used_it(figures: FakeFigureRepository) -> None:
    made = tally(figures)
    made.received("send", NOW)
    made.write()
    assert figures.stored.token_expires_at is None
    made.answered(ACCEPTED)
    made.write()
    assert figures.stored.token_expires_at == NOW


def test_a_token_that_cannot_be_read_keeps_no_figure_back(figures: FakeFigureRepository) -> None:
    def unreadable() -> datetime | None:
        raise TransientError("throttled")

    made = Tally(figures, unreadable)
    made.answered(ACCEPTED)
    made.write()
    assert figures.stored.traffic.attempts == 0
    assert figures.stored.traffic.answers_by_kind["accepted"] == 1
    assert figures.stored.token_expires_at is None
