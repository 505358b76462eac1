"""What the port `CounterRepository` promises, of the adapter and of its fake."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any, cast

import pytest

from chalicelib.adapters.counter_repository import DynamoCounterRepository
from chalicelib.adapters.dynamodb import DynamoDB
from chalicelib.domain.message import Message, Outcome, Status, ended
from chalicelib.errors import StaleError
from chalicelib.ports import CounterRepository, MailingCounters, MessageRepository
from tests.aws_errors import first_answer_lost
from tests.builders import NOW, mailing, message, ulid
from tests.fakes.messages import FakeMessageRepository

if TYPE_CHECKING:
    from chalicelib.bootstrap import Application

MAILING = mailing()


@dataclass(frozen=True)
class Stored:
    messages: MessageRepository
    counters: CounterRepository


@pytest.fixture(params=["dynamodb", "fake"])
def stored(request: pytest.FixtureRequest) -> Stored:
    if request.param == "fake":
        fake = FakeMessageRepository()
        return Stored(fake, fake)
    built: Application = request.getfixturevalue("built")
    return Stored(built.messages, built.counters)


def sent(row: Message, seconds: int) -> Outcome:
    after = ended(row, Status.SENT, expires_at=MAILING.rows_expire_at)
    return Outcome(row, replace(after, attempts=1, sent_at=NOW + timedelta(seconds=seconds)))


def test_counters_of_all_shards_are_added_up(stored: Stored) -> None:
    rows = stored.messages.plan(MAILING, [message(client_id=ulid(n)) for n in range(6)])
    for n, row in enumerate(rows[:5]):  # a transaction each, so most likely a shard each
        stored.messages.record(MAILING.id, [sent(row, 30 * n)])
    totals = stored.counters.totals(MAILING.id)
    assert +totals.counts == {"queued": 1, "sent": 5, "attempts": 5}
    assert totals.first_sent_at == NOW
    assert totals.last_sent_at == NOW + timedelta(minutes=2)


def test_minutes_are_in_order_and_the_latest_are_kept(stored: Stored) -> None:
    rows = stored.messages.plan(MAILING, [message(client_id=ulid(n)) for n in range(5)])
    for n, row in enumerate(rows):
        stored.messages.record(MAILING.id, [sent(row, 30 * n)])
    minutes = stored.counters.per_minute(MAILING.id, 10)
    assert [(minute, counts["sent"]) for minute, counts in minutes] == [
        (NOW, 2),
        (NOW + timedelta(minutes=1), 2),
        (NOW + timedelta(minutes=2), 1),
    ]
    assert stored.counters.per_minute(MAILING.id, 2) == minutes[1:]


def test_what_was_sent_since_a_minute_is_counted_with_that_minute(stored: Stored) -> None:
    rows = stored.messages.plan(MAILING, [message(client_id=ulid(n)) for n in range(5)])
    for n, row in enumerate(rows):
        stored.messages.record(MAILING.id, [sent(row, 30 * n)])
    moscow = timezone(timedelta(hours=3))
    moments = [
        NOW,
        NOW + timedelta(seconds=59),
        (NOW + timedelta(minutes=1)).astimezone(moscow),
        NOW + timedelta(hours=1),
    ]
    assert [stored.counters.sent_since(MAILING.id, moment) for moment in moments] == [5, 5, 3, 0]


def test_a_mailing_without_messages_has_no_counters(stored: Stored) -> None:
    totals = stored.counters.totals(ulid(404))
    assert totals == MailingCounters(totals.counts)
    assert not totals.counts
    assert stored.counters.per_minute(ulid(404), 10) == []


def test_what_a_repair_adds_counts_with_the_rest(stored: Stored) -> None:
    stored.messages.plan(MAILING, [message(client_id=ulid(n)) for n in range(3)])
    assert stored.counters.totals(MAILING.id).repairs == 0

    stored.counters.adjust(MAILING.id, {"queued": -1, "failed.crash": 2}, repairs=0)
    stored.counters.adjust(MAILING.id, {"queued": 2}, repairs=1)

    totals = stored.counters.totals(MAILING.id)
    assert +totals.counts == {"queued": 4, "failed.crash": 2}
    assert totals.repairs == 2


@pytest.mark.parametrize("repairs", [0, 2])
def test_of_two_repairs_that_saw_the_same_only_one_counts(stored: Stored, repairs: int) -> None:
    stored.counters.adjust(MAILING.id, {"sent": 1}, repairs=0)

    with pytest.raises(StaleError):
        stored.counters.adjust(MAILING.id, {"sent": 1}, repairs)

    totals = stored.counters.totals(MAILING.id)
    assert (totals.counts["sent"], totals.repairs) == (1, 1)


def test_a_repair_whose_answer_is_lost_counts_once(built: "Application") -> None:
    # AWS and the emulator know the repeated call by its token, and it succeeds; to moto it is another.
    with first_answer_lost(built.dynamodb.client, "TransactWriteItems"), suppress(StaleError):
        built.counters.adjust(MAILING.id, {"sent": 1}, repairs=0)

    assert built.counters.totals(MAILING.id).counts["sent"] == 1


class Paging:
    """A DynamoDB client that answers each query in two pages; the real one does so above a megabyte."""

    def query(self, **query: object) -> object:
        if "ExclusiveStartKey" in query:
            return {"Items": [{"counter": {"S": "total#01"}, "sent": {"N": "2"}}]}
        return {"Items": [{"counter": {"S": "total#00"}, "sent": {"N": "1"}}], "LastEvaluatedKey": {"any": "key"}}


def test_counters_are_read_to_the_last_page() -> None:
    assert DynamoCounterRepository(DynamoDB(cast("Any", Paging()))).totals(MAILING.id).counts == {"sent": 3}


def test_messages_are_counted_between_moments_to_the_minute(stored: Stored) -> None:
    rows = stored.messages.plan(MAILING, [message(client_id=ulid(n)) for n in range(6)])
    for n, row in enumerate(rows):
        stored.messages.record(MAILING.id, [sent(row, 60 * n)])
    in_zone = NOW.astimezone(timezone(timedelta(hours=5, minutes=45)))
    moments = [in_zone + minutes * timedelta(minutes=1) for minutes in (1, 3, 3, 5)]
    assert stored.counters.sent_between(MAILING.id, moments) == [2, 0, 2]
    assert stored.counters.sent_between(ulid(999), moments) == [0, 0, 0]
