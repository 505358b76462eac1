import inspect
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.dead_letter import MAX_CAUSE, DeadLetter, DeadLetterIds, DeadQueue
from chalicelib.domain.tickets import ImportTicket, MessagesTicket, SegmentTicket, StartEvent
from chalicelib.services import receive_tickets, send_messages
from tests.builders import NOW, ulid

MAILING = ulid(100)
PHONE = "79161234567"
MESSAGES = MessagesTicket(v=1, mailing_id=MAILING, message_ids=[1, 2**53 - 1])
SEGMENT = SegmentTicket(v=1, mailing_id=MAILING, segment="follow#000003#1#07")
START = StartEvent(mailing_id=MAILING)
IMPORT = ImportTicket(v=1, import_ids=[ulid(200)])


def letter(queue: DeadQueue, body: str, noted: str | None = None) -> DeadLetter:
    return DeadLetter("id", queue, body, "receipt", NOW, noted)


@pytest.mark.parametrize(
    ("queue", "content", "ids"),
    [
        (DeadQueue.SEND, MESSAGES, DeadLetterIds(MAILING, [1, 2**53 - 1])),
        (DeadQueue.EXPRESS, MESSAGES, DeadLetterIds(MAILING, [1, 2**53 - 1])),
        (DeadQueue.PLAN, SEGMENT, DeadLetterIds(MAILING, (), "follow#000003#1#07")),
        (DeadQueue.SCHEDULE, START, DeadLetterIds(MAILING)),
        (DeadQueue.IMPORT, IMPORT, DeadLetterIds()),
    ],
)
def test_a_readable_letter_says_what_it_is_about(
    queue: DeadQueue, content: MessagesTicket | SegmentTicket | StartEvent | ImportTicket, ids: DeadLetterIds
) -> None:
    dead = letter(queue, content.model_dump_json())
    assert dead.content == content
    assert dead.ids == ids


@pytest.mark.parametrize("queue", DeadQueue)
@pytest.mark.parametrize("body", ["", "no json", "[]", "null", "{}", "9" * 5000, "[" * 100_000, '{"mailing_id": 7}'])
def test_garbage_is_about_nothing_and_its_cause_says_why(queue: DeadQueue, body: str) -> None:
    dead = letter(queue, body)
    assert dead.content is None
    assert dead.ids == DeadLetterIds()
    assert dead.cause.startswith("unreadable ticket: ")


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"v": 2, "mailing_id": MAILING, "message_ids": [7]}, DeadLetterIds(MAILING)),
        ({"v": 2, "mailing_id": MAILING, "segment": "plan#00"}, DeadLetterIds(MAILING, (), "plan#00")),
        ({"v": 2, "mailing_id": PHONE, "segment": f"plan#{PHONE}"}, DeadLetterIds()),
        ({"mailing_id": "Come at nine!", "segment": "come at nine", "message_ids": [int(PHONE)]}, DeadLetterIds()),
    ],
)
def test_an_unreadable_letter_tells_ids_that_look_like_ours_and_nothing_else(
    body: dict[str, object], ids: DeadLetterIds
) -> None:
    assert letter(DeadQueue.SEND, json.dumps(body)).ids == ids


def test_a_readable_ticket_tells_no_mailing_whose_id_is_none_of_ours() -> None:
    body = MessagesTicket(v=1, mailing_id=PHONE, message_ids=[7]).model_dump_json()
    assert letter(DeadQueue.SEND, body).ids == DeadLetterIds(None, [7])


SECRET = st.from_regex(r"7916[0-9]{7}|Come at nine, [A-Z]{3}!|eyJ[A-Za-z0-9]{20}", fullmatch=True)


@given(SECRET, st.sampled_from(DeadQueue), st.sampled_from(["{}", '"{}"', '{{"{}": 1}}', '{{"v": "{}"}}', "[[{}]]"]))
def test_what_stands_in_an_unreadable_body_is_told_nowhere(secret: str, queue: DeadQueue, shape: str) -> None:
    dead = letter(queue, shape.format(secret))
    assert secret not in f"{dead.cause} {dead.ids} {dead!r}"


def test_a_cause_that_came_along_is_told_and_bounded() -> None:
    assert letter(DeadQueue.SEND, MESSAGES.model_dump_json(), "unreadable ticket: v: 2").cause == (
        "unreadable ticket: v: 2"
    )
    assert len(letter(DeadQueue.SEND, "", "x" * 10_000).cause) == MAX_CAUSE
    wrong = json.dumps({chr(97 + n) * 30: n for n in range(20)})
    assert len(letter(DeadQueue.SEND, wrong).cause) <= MAX_CAUSE


def test_an_event_of_a_schedule_says_who_could_not_call_whom() -> None:
    assert letter(DeadQueue.SCHEDULE, START.model_dump_json()).cause == (
        "EventBridge Scheduler could not call the planner"
    )


@pytest.mark.parametrize(
    ("queue", "body"),
    [(DeadQueue.SEND, MESSAGES), (DeadQueue.EXPRESS, MESSAGES), (DeadQueue.PLAN, SEGMENT)],
)
def test_a_fault_of_ours_names_the_log_lines_that_are_written_then(
    queue: DeadQueue, body: MessagesTicket | SegmentTicket
) -> None:
    cause = letter(queue, body.model_dump_json()).cause
    assert "5 times" in cause
    lines = re.findall("`([^`]+)`", cause)
    assert lines
    written = inspect.getsource(receive_tickets) + inspect.getsource(send_messages)
    assert [line for line in lines if f'logger.exception("{line}"' not in written] == []
    assert len(cause) <= MAX_CAUSE
