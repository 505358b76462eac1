from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.figures import Figures, QueueDepth, Record, Source, Watch, age
from tests.builders import NOW

MINUTE = timedelta(minutes=1)
LONG_AGO = NOW - 30 * MINUTE
LAST_MINUTE = NOW - MINUTE


def figures(record: Record | None = None, **known: Any) -> Figures:  # noqa: ANN401 - figures by name
    nothing = dict.fromkeys(("mailings", "messages", "planning", "breaker", "queues", "dead_letters"))
    return Figures(at=NOW, unknown=frozenset(), unwritten=Counter(), record=record, **nothing | known)


def watched(**since: datetime) -> Record:
    return Record(watch=Watch(LAST_MINUTE, {name.replace("dead_", "dead."): at for name, at in since.items()}))


@pytest.mark.parametrize(
    ("record", "oldest"),
    [
        (watched(send=LONG_AGO), 30 * MINUTE),  # stuck, and nothing was ever received
        (watched(), MINUTE),  # empty a minute ago
        (Record(), timedelta()),  # nobody knows
        (Record(received={"send": LONG_AGO}), 30 * MINUTE),
        (Record(watch=watched(send=LONG_AGO).watch, received={"send": NOW - 2 * MINUTE}), 2 * MINUTE),  # a steady flow
        (Record(watch=watched().watch, received={"send": LONG_AGO}), MINUTE),  # it was empty since
        (Record(received={"send": NOW + MINUTE}), timedelta()),  # clocks differ
    ],
)
def test_no_ticket_is_older_than_the_last_received_or_than_the_time_since_the_queue_was_empty(
    record: Record, oldest: timedelta
) -> None:
    assert figures(record, queues={"send": QueueDepth(visible=3)}).queue_ages() == {"send": oldest}


def test_a_queue_in_which_nothing_can_be_received_has_no_old_ticket() -> None:
    waiting = {"send": QueueDepth(visible=0, delayed=5, in_flight=7)}
    assert figures(watched(send=LONG_AGO), queues=waiting).queue_ages() == {"send": timedelta()}


def test_dead_letters_lie_there_since_a_minute_has_seen_them_first() -> None:
    seen = figures(watched(dead_send=LONG_AGO), dead_letters={"send": 1, "plan": 1, "import": 0})
    assert seen.dead_letter_ages() == {"send": 30 * MINUTE, "plan": MINUTE, "import": timedelta()}


def test_without_a_record_no_age_is_told() -> None:
    seen = figures(None, queues={"send": QueueDepth(1)}, dead_letters={"send": 1})
    assert (seen.queue_ages(), seen.dead_letter_ages(), seen.watched()) == ({}, {}, None)


def test_ages_of_queues_that_were_not_read_are_not_told() -> None:
    assert (figures(Record()).queue_ages(), figures(Record()).dead_letter_ages()) == ({}, {})


def test_the_next_minute_knows_since_when_queues_are_not_empty() -> None:
    before = watched(send=LONG_AGO, plan=LONG_AGO, dead_send=LONG_AGO)
    seen = figures(
        Record(Counter(attempts=3), watch=before.watch),
        queues={"send": QueueDepth(1), "plan": QueueDepth(0), "express": QueueDepth(2)},
        dead_letters={"send": 0, "plan": 4},
    ).watched()
    assert seen == Watch(NOW, {"send": LONG_AGO, "express": NOW, "dead.plan": NOW}, Counter(attempts=3))


def test_of_queues_that_cannot_be_read_what_was_known_stands() -> None:
    seen = figures(watched(send=LONG_AGO), dead_letters={"send": 0}).watched()
    assert seen is not None
    assert seen.not_empty_since == {"send": LONG_AGO}


def test_the_first_minute_tells_of_nothing_that_came_before() -> None:
    assert figures(Record(Counter(attempts=3))).since_told() == Counter()
    assert figures(None).since_told() == Counter()


def test_a_minute_tells_what_was_counted_since_the_one_before() -> None:
    record = Record(Counter(attempts=5, call_ms=7), watch=Watch(LAST_MINUTE, told=Counter(attempts=3)))
    assert figures(record).since_told() == Counter(attempts=2, call_ms=7)


def test_errors_are_those_that_all_have_met_with_as_far_as_this_process_knows() -> None:
    stored = Record(Counter({"scrape_error.queues": 2, "attempts": 9}))
    own = Counter({"scrape_error.queues": 1})
    seen = Figures(NOW, frozenset(), own, stored, None, None, None, None, None, None)
    assert seen.errors() == dict.fromkeys(map(str, Source), 0) | {"queues": 3}
    alone = Figures(NOW, frozenset(), own, None, None, None, None, None, None, None)
    assert alone.errors()["queues"] == 1


def test_what_never_was_has_no_age() -> None:
    assert (age(None, NOW), age(LONG_AGO, NOW), age(NOW + MINUTE, NOW)) == (timedelta(), 30 * MINUTE, timedelta())
