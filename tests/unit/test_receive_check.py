from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.figures import Rest
from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import Status
from chalicelib.services.receive_check import receive_check
from tests.builders import NOW, mailing, message, ulid
from tests.log_lines import log_lines
from tests.world import World

FINISHED = mailing(status=MailingStatus.FINISHED, planned_at=NOW - timedelta(hours=1))
NIGHT = {"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}


@pytest.fixture
def made() -> World:
    """A world in which two messages more are counted as sent than are."""
    made = World()
    made.mailings.create(FINISHED)
    made.messages.add(message(status=Status.SENT, attempts=1))
    made.messages.counts[FINISHED.id]["sent"] += 2
    return made


def answer(made: World, event: dict[str, Any]) -> dict[str, Any]:
    return receive_check(
        event, made.count_rest(), made.check_changed(), made.repair_counters(), NOW + timedelta(minutes=14)
    )


def counter(name: str, rows: int, counted: int) -> dict[str, Any]:
    return {"counter": name, "rows": rows, "counted": counted, "difference": counted - rows}


DRIFTING = [counter("attempts", 1, 1), counter("sent", 1, 3)]
RIGHT = [counter("attempts", 1, 1), counter("sent", 1, 1)]


def test_the_schedule_has_all_mailings_checked(made: World) -> None:
    assert answer(made, NIGHT) == {"right": 0, "drift": 1, "busy": 0, "unchecked": 0}
    assert made.messages.repairs[FINISHED.id] == 0


@pytest.mark.parametrize("request_", [{"mailing_id": FINISHED.id}, {"mailing_id": FINISHED.id, "repair": False}])
def test_a_check_of_one_mailing_changes_nothing(made: World, request_: dict[str, Any]) -> None:
    expected = {"mailing_id": FINISHED.id, "verdict": "drift", "detail": "", "counters": DRIFTING, "after": None}
    with log_lines() as lines:
        assert answer(made, request_) == expected
    assert made.messages.counts[FINISHED.id]["sent"] == 3
    assert [(line.message, vars(line)["mailing_id"]) for line in lines] == [("counters recounted", FINISHED.id)]


def test_a_repair_answers_with_what_it_found_and_with_a_recount(made: World) -> None:
    answered = answer(made, {"mailing_id": FINISHED.id, "repair": True})
    assert (answered["verdict"], answered["counters"]) == ("drift", DRIFTING)
    assert (answered["after"]["verdict"], answered["after"]["counters"]) == ("right", RIGHT)
    assert made.messages.counts[FINISHED.id]["sent"] == 1


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({}, "mailing_id: Field required"),
        ({"mailing_id": ""}, "mailing_id: String should have at least 1 character"),
        ({"mailing_id": 7}, "mailing_id: Input should be a valid string"),
        ({"mailing_id": FINISHED.id, "repair": "yes"}, "repair: Input should be a valid boolean"),
        ({"mailing_id": FINISHED.id, "repare": True}, "repare: Extra inputs are not permitted"),
        ({"mailing_id": ulid(404), "repair": True}, "there is no such mailing"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(made: World, event: dict[str, Any], said: str) -> None:
    assert answer(made, event) == {"error": said}
    assert made.messages.repairs == {}


def test_the_schedule_has_mailings_of_long_ago_counted(made: World) -> None:
    answer(made, NIGHT)
    assert made.figures.stored.rest == Rest(NOW - timedelta(days=1), {**dict.fromkeys(map(str, Status), 0)})
