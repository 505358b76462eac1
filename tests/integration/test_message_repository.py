"""What the port `MessageRepository` promises, of the adapter and of its fake."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta

import boto3
import pytest
from botocore.config import Config

from chalicelib.adapters.counter_repository import DynamoCounterRepository
from chalicelib.adapters.dynamodb import DynamoDB
from chalicelib.adapters.mailing_repository import DynamoMailingRepository
from chalicelib.adapters.message_repository import DUE_SHARDS, DynamoMessageRepository
from chalicelib.adapters.tables import MessageItem, bind
from chalicelib.domain.message import UNLEASED, Message, Outcome, Reason, Status, ended, message_id, put_off, retried
from chalicelib.errors import TransientError
from chalicelib.ports import DueMessage
from tests.aws_errors import answered, cancelled, error, first_answer_lost, without_transport_retries
from tests.builders import NOW, mailing, message, ulid
from tests.emulator import running_emulator
from tests.fakes.messages import FakeMessageRepository, recount, without_errors
from tests.log_lines import log_lines
from tests.tables import clear_tables, create_tables

MAILING = mailing()
SECOND = timedelta(seconds=1)
UNTIL = NOW + 30 * SECOND
EXPIRY = MAILING.rows_expire_at
THROTTLED = error("ProvisionedThroughputExceededException")
Repository = DynamoMessageRepository | FakeMessageRepository


@pytest.fixture(scope="module")
def emulated() -> Iterator[DynamoDB]:
    """Run the emulator: moto knows no PartiQL update of two attributes."""
    with running_emulator():
        create_tables("contract")
        yield DynamoDB()
        bind("unbound")


@pytest.fixture
def stored(emulated: DynamoDB) -> Iterator[DynamoMessageRepository]:
    """Hand out the adapter alone, for what only AWS can do."""
    yield DynamoMessageRepository(emulated)
    clear_tables()


@pytest.fixture(params=["dynamodb", "fake"])
def messages(request: pytest.FixtureRequest) -> Repository:
    if request.param == "fake":
        return FakeMessageRepository(due_shards=DUE_SHARDS)
    stored: DynamoMessageRepository = request.getfixturevalue("stored")
    return stored


def hasty(stored: DynamoMessageRepository, pauses: list[float]) -> DynamoMessageRepository:
    """Make the same repository with pauses that are only noted."""
    return DynamoMessageRepository(DynamoDB(stored._dynamodb.client, pauses.append))


def row(number: int, **changes: object) -> Message:
    client_id = ulid(number)
    return message(id=message_id(MAILING.id, client_id), client_id=client_id, version="", **changes)


def plan(messages: Repository, *numbers: int) -> list[Message]:
    return list(messages.plan(MAILING, [replace(row(number), version=f"v{number}") for number in numbers]))


def read(messages: Repository, rows: Sequence[Message]) -> list[Message]:
    found = messages.get_many([one.id for one in rows])
    return [found[one.id] for one in rows]


def lease(messages: Repository, rows: Sequence[Message], version: str = "mine", now: datetime = NOW) -> list[Message]:
    leased = list(messages.lease(rows, until=now + 30 * SECOND, version=version))
    assert leased == [one for one in read(messages, rows) if one.version == version]
    return leased


def sent(before: Message) -> Outcome:
    after = ended(replace(before, attempts=before.attempts + 1), Status.SENT, expires_at=EXPIRY)
    return Outcome(before, replace(after, sent_at=NOW + SECOND))


def deferred(before: Message, until: datetime = NOW + SECOND) -> Outcome:
    tried = replace(before, attempts=before.attempts + 1, uncertain=before.uncertain + 1, last_error="timeout")
    return Outcome(before, put_off(tried, until, Reason.RETRY, now=NOW), "timeout")


def failed(before: Message) -> Outcome:
    return Outcome(before, ended(before, Status.FAILED, Reason.TIMEZONE, expires_at=EXPIRY))


def check(messages: Repository, rows: Sequence[Message]) -> None:
    """Fail unless the counters equal a recount."""
    counters = messages if isinstance(messages, FakeMessageRepository) else DynamoCounterRepository(messages._dynamodb)
    assert without_errors(counters.totals(MAILING.id).counts) == recount(read(messages, rows))


def unversioned(rows: Sequence[Message]) -> list[Message]:
    return [replace(one, version="") for one in rows]


# --- Planning


def test_planned_rows_are_stored_as_they_are(messages: Repository) -> None:
    rows = plan(messages, 1, 2, 3)
    assert unversioned(rows) == [row(1), row(2), row(3)]
    assert read(messages, rows) == rows
    assert all(one.version for one in rows)
    check(messages, rows)


def test_planned_again_the_rows_are_found_as_they_are_by_then(messages: Repository) -> None:
    first, second = plan(messages, 1, 2)
    (ended_,) = messages.record(MAILING.id, [sent(first)])
    again = plan(messages, 1, 2, 3)
    by_client = {one.client_id: one for one in again}
    assert replace(by_client[ulid(1)], version="") == replace(ended_.after, version="")
    assert by_client[ulid(2)] == second
    assert len(again) == 3
    check(messages, again)
    assert read(messages, again) == again


def test_planning_nothing_is_nothing(messages: Repository) -> None:
    assert messages.plan(MAILING, []) == []


def test_more_rows_than_a_transaction_holds_are_planned_and_counted(messages: Repository) -> None:
    rows = plan(messages, *range(1, 151))
    assert sorted(one.client_id for one in rows) == [ulid(number) for number in range(1, 151)]
    check(messages, rows)


def test_where_another_pair_has_the_id_the_next_choice_is_taken_and_found_again(messages: Repository) -> None:
    taken = replace(row(1), mailing_id="another", client_id="else")
    also_taken = replace(taken, id=message_id(MAILING.id, ulid(1), 1))
    messages.plan(replace(MAILING, id="another"), [taken, replace(also_taken, client_id="other")])
    rows = plan(messages, 1, 2)
    by_client = {one.client_id: one for one in rows}
    assert by_client[ulid(1)].id == message_id(MAILING.id, ulid(1), 2)
    assert by_client[ulid(2)].id == message_id(MAILING.id, ulid(2))
    assert {one.id: one for one in plan(messages, 1, 2)} == {one.id: one for one in rows}
    assert read(messages, [taken])[0].mailing_id == "another"
    check(messages, rows)


# --- Reading


def test_a_mailing_is_stored_with_its_only_row(messages: Repository) -> None:
    test = replace(MAILING, id=ulid(333), test_of=MAILING.id)
    id_ = message_id(test.id, ulid(1))
    # Another pair has the first choice of an id already.
    taken = messages.plan(MAILING, [replace(row(2), id=id_)])
    stored = messages.plan_alone(test, message(id=id_, mailing_id=test.id, client_id=ulid(1), version="v1"))
    assert stored.id == message_id(test.id, ulid(1), 1)
    assert read(messages, [stored]) == [stored]
    assert stored.version == "v1"
    assert read(messages, taken) == taken
    mailings = messages.mailings if isinstance(messages, FakeMessageRepository) else DynamoMailingRepository()
    assert mailings.get(test.id) == test
    again = message(id=id_, mailing_id=test.id, client_id=ulid(1), version="")
    assert messages.plan_alone(replace(test, text="another"), again) == stored
    assert mailings.get(test.id) == test
    counters = messages if isinstance(messages, FakeMessageRepository) else DynamoCounterRepository(messages._dynamodb)
    assert counters.totals(test.id).counts == {"queued": 1}


def test_rows_that_do_not_exist_are_missing(messages: Repository) -> None:
    (one,) = plan(messages, 1)
    assert messages.get_many([one.id, one.id, 12345]) == {one.id: one}
    assert messages.get_many([]) == {}


def test_all_facts_of_a_row_come_back(messages: Repository) -> None:
    (one,) = plan(messages, 1)
    (stored,) = messages.record(MAILING.id, [deferred(one)])
    (found,) = read(messages, [one])
    assert replace(found, version="") == replace(stored.after, version="")
    (stored,) = messages.record(MAILING.id, [sent(found)])
    (found,) = read(messages, [one])
    assert replace(found, version="") == replace(stored.after, version="")


# --- Leases


def test_a_free_row_is_leased_and_the_lease_is_counted(messages: Repository) -> None:
    rows = plan(messages, 1, 2)
    leased = lease(messages, rows)
    assert leased == [replace(one, lease_until=UNTIL, leases=1, version="mine") for one in rows]


def test_more_rows_than_a_batch_holds_are_leased(messages: Repository) -> None:
    rows = plan(messages, *range(1, 52))
    assert len(lease(messages, rows)) == 51


def test_a_leased_row_is_taken_over_by_who_read_it_since(messages: Repository) -> None:
    rows = plan(messages, 1)
    (mine,) = lease(messages, rows)
    assert lease(messages, rows, "theirs") == []
    assert read(messages, rows) == [mine]
    later = NOW + 31 * SECOND
    assert lease(messages, [mine], "theirs", later) == [
        replace(mine, lease_until=later + 30 * SECOND, leases=2, version="theirs")
    ]


def test_ended_and_missing_rows_are_not_leased(messages: Repository) -> None:
    first, second = plan(messages, 1, 2)
    messages.record(MAILING.id, [sent(first)])
    before = read(messages, [first])
    missing = replace(second, id=12345)
    assert messages.lease([first, missing, second], until=UNTIL, version="mine") == read(messages, [second])
    assert read(messages, [first]) == before
    assert read(messages, [second])[0].version == "mine"
    assert messages.get_many([12345]) == {}


def test_a_released_row_is_as_if_it_had_never_been_leased(messages: Repository) -> None:
    rows = plan(messages, *range(1, 28))
    messages.release(lease(messages, rows))
    released = read(messages, rows)
    assert unversioned(released) == unversioned(rows)
    assert len(lease(messages, released, "next")) == 27


def test_who_lost_the_lease_cannot_release_it(messages: Repository) -> None:
    rows = plan(messages, 1)
    mine = lease(messages, rows)
    (theirs,) = lease(messages, mine, "theirs", NOW + 60 * SECOND)
    messages.release(mine)
    assert read(messages, rows) == [theirs]


# --- Outcomes


def test_outcomes_are_stored_with_their_counters(messages: Repository) -> None:
    rows = plan(messages, 1, 2, 3, 4)
    leased = lease(messages, rows)
    outcomes = [sent(leased[0]), deferred(leased[1]), failed(leased[2])]
    stored = messages.record(MAILING.id, outcomes)
    assert [(one.before, one.error) for one in stored] == [(one.before, one.error) for one in outcomes]
    assert unversioned(read(messages, rows)) == unversioned([*(one.after for one in outcomes), leased[3]])
    check(messages, rows)


def test_an_outcome_changes_the_version(messages: Repository) -> None:
    rows = plan(messages, 1)
    leased = lease(messages, rows)
    messages.record(MAILING.id, [deferred(leased[0])])
    (found,) = read(messages, rows)
    assert found.version not in {"", "mine", rows[0].version}


def test_an_outcome_that_is_recorded_twice_counts_once(messages: Repository) -> None:
    rows = plan(messages, 1, 2)
    leased = lease(messages, rows)
    outcomes = [sent(leased[0]), deferred(leased[1])]
    messages.record(MAILING.id, outcomes)
    once = read(messages, rows)
    assert messages.record(MAILING.id, outcomes) == []
    assert read(messages, rows) == once
    check(messages, rows)


def test_without_the_lease_sent_is_carried_over_and_everything_else_dropped(messages: Repository) -> None:
    rows = plan(messages, 1, 2, 3, 4)
    mine = lease(messages, rows)
    later = NOW + 60 * SECOND
    theirs = lease(messages, mine[:3], "theirs", later)
    messages.record(MAILING.id, [deferred(theirs[2], later)])
    with log_lines(logging.WARNING) as lines:
        stored = messages.record(MAILING.id, [sent(mine[0]), deferred(mine[1]), sent(mine[2]), failed(mine[3])])
    assert sorted(one.after.id for one in stored) == sorted(rows[n].id for n in (0, 2, 3))
    first, second, third, fourth = read(messages, rows)
    assert (first.status, first.attempts, first.sent_at) == (Status.SENT, 1, NOW + SECOND)
    assert second == theirs[1]
    assert (third.status, third.attempts, third.reason) == (Status.SENT, 2, None)
    assert fourth.status is Status.FAILED
    check(messages, rows)
    if isinstance(messages, DynamoMessageRepository):
        (line,) = lines
        assert (vars(line)["mailing_id"], vars(line)["message_id"]) == (MAILING.id, second.id)
        assert (vars(line)["outcome"], vars(line)["found"]) == (Status.DEFERRED, Status.QUEUED)


def test_a_row_that_had_failed_is_queued_again_and_found_when_it_is_due(messages: Repository) -> None:
    (leased,) = lease(messages, plan(messages, 1))
    (deferred_,) = messages.record(MAILING.id, [deferred(leased)])
    (current,) = read(messages, [deferred_.after])
    messages.record(MAILING.id, [failed(current)])
    (current,) = read(messages, [current])
    again = retried(current, due_at=NOW + SECOND)
    assert len(messages.record(MAILING.id, [Outcome(current, again)])) == 1
    assert messages.record(MAILING.id, [Outcome(current, again)]) == []
    (found,) = read(messages, [current])
    assert replace(found, version="") == replace(again, version="")
    assert (found.attempts, found.attempts_before, found.expires_at) == (1, 1, None)
    due = messages.due(Status.QUEUED, found.id % DUE_SHARDS, NOW + SECOND, 10)
    assert [one.id for one in due] == [found.id]
    assert lease(messages, [found])
    check(messages, [found])


def test_the_outcome_of_a_row_that_is_gone_is_dropped(messages: Repository) -> None:
    (one,) = plan(messages, 1)
    assert messages.record(MAILING.id, [sent(row(2)), sent(one)]) == [sent(one)]
    assert messages.get_many([row(2).id]) == {}
    check(messages, [one])


def test_more_outcomes_than_a_transaction_holds_are_recorded(messages: Repository) -> None:
    rows = plan(messages, *range(1, 101))
    assert len(messages.record(MAILING.id, [sent(one) for one in rows])) == 100
    assert {one.status for one in read(messages, rows)} == {Status.SENT}
    check(messages, rows)


def test_recording_nothing_is_nothing(messages: Repository) -> None:
    assert messages.record(MAILING.id, []) == []


def test_an_outcome_that_changes_no_counter_is_recorded(messages: Repository) -> None:
    (one,) = plan(messages, 1)
    messages.record(MAILING.id, [Outcome(one, put_off(one, NOW, Reason.WINDOW, now=NOW))])
    (found,) = read(messages, [one])
    later = Outcome(found, put_off(found, NOW + SECOND, Reason.WINDOW, now=NOW))
    assert len(messages.record(MAILING.id, [later])) == 1
    assert read(messages, [one])[0].not_before == NOW + SECOND
    check(messages, [one])


# --- Due rows


def due(messages: Repository, status: Status, before: datetime, limit: int = 100) -> list[DueMessage]:
    return [one for shard in range(DUE_SHARDS) for one in messages.due(status, shard, before, limit)]


def test_rows_are_listed_by_status_when_they_are_due(messages: Repository) -> None:
    rows = plan(messages, 1, 2, 3)
    messages.record(MAILING.id, [deferred(rows[0]), sent(rows[1])])
    at = NOW + timedelta(minutes=15)
    assert due(messages, Status.QUEUED, at) == [DueMessage(rows[2].id, MAILING.id, at)]
    assert due(messages, Status.QUEUED, at - timedelta(milliseconds=1)) == []
    soon = NOW + SECOND + timedelta(minutes=2)
    assert due(messages, Status.DEFERRED, at) == [DueMessage(rows[0].id, MAILING.id, soon)]


def test_of_a_shard_the_earliest_are_listed_first(messages: Repository) -> None:
    rows = [replace(row(number), id=DUE_SHARDS * number + 5, due_at=NOW + number * SECOND) for number in (3, 1, 4, 2)]
    messages.plan(MAILING, rows)
    listed = messages.due(Status.QUEUED, 5, NOW + timedelta(hours=1), 3)
    assert [one.due_at for one in listed] == [NOW + number * SECOND for number in (1, 2, 3)]
    assert messages.due(Status.QUEUED, 6, NOW + timedelta(hours=1), 3) == []


def test_due_rows_are_moved_but_not_those_in_other_hands_or_moved_already(messages: Repository) -> None:
    rows = plan(messages, 1, 2, 3, 4)
    at, later = NOW + timedelta(minutes=15), NOW + timedelta(minutes=30)
    listed = {one.id: one for one in due(messages, Status.QUEUED, at)}
    (leased,) = lease(messages, rows[:1], now=at)
    messages.record(MAILING.id, [sent(rows[1])])
    ended_ = read(messages, rows)[1]
    wanted = [listed[one.id] for one in rows]
    missing = DueMessage(12345, MAILING.id, at)
    assert messages.move_due([*wanted, missing], now=at, due_at=later) == wanted[2:]
    found = read(messages, rows)
    assert found[:2] == [leased, ended_]
    assert [one.due_at for one in found[2:]] == [later, later]
    assert unversioned(found[2:]) == [replace(row(n), due_at=later) for n in (3, 4)]
    assert messages.move_due(wanted, now=at, due_at=later) == []
    assert messages.get_many([12345]) == {}
    assert due(messages, Status.QUEUED, at) == wanted[:1]
    check(messages, rows)


def test_who_moves_a_row_changes_its_version(messages: Repository) -> None:
    (one,) = plan(messages, 1)
    (mine,) = lease(messages, [one])
    later = NOW + timedelta(minutes=15)
    messages.move_due(due(messages, Status.QUEUED, later), now=later, due_at=later + SECOND)
    assert messages.record(MAILING.id, [deferred(mine)]) == []
    assert len(messages.record(MAILING.id, [sent(mine)])) == 1
    check(messages, [one])


# --- What AWS does at times


def test_a_lease_whose_answer_was_lost_is_still_ours_and_counted_once(stored: DynamoMessageRepository) -> None:
    rows = plan(stored, 1, 2)
    with first_answer_lost(stored._dynamodb.client, "BatchExecuteStatement"):
        leased = lease(stored, rows)
    assert [one.leases for one in leased] == [1, 1]


def test_a_plan_whose_answer_was_lost_is_counted_once(stored: DynamoMessageRepository) -> None:
    with first_answer_lost(stored._dynamodb.client, "TransactWriteItems"):
        rows = plan(stored, 1, 2)
    assert read(stored, rows) == rows
    check(stored, rows)


def test_a_transaction_that_met_a_conflict_is_written_again_with_another_token(
    stored: DynamoMessageRepository,
) -> None:
    rows = lease(stored, plan(stored, 1, 2))
    faults = [
        cancelled("None", "TransactionConflict", "None", "None"),
        cancelled("ThrottlingError", "None", "None", "None"),
        cancelled("None", "None", "ProvisionedThroughputExceeded", "None"),
    ]
    with answered(stored._dynamodb.client, "TransactWriteItems", *faults) as calls:
        assert len(stored.record(MAILING.id, [sent(one) for one in rows])) == 2
    assert len(calls) == 4
    assert len({call["ClientRequestToken"] for call in calls}) == 4
    check(stored, rows)


def test_a_transport_retry_keeps_its_token(stored: DynamoMessageRepository) -> None:
    unavailable = (500, {"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": "injected"})
    with answered(stored._dynamodb.client, "TransactWriteItems", unavailable) as calls:
        rows = plan(stored, 1)
    assert len(calls) == 2
    assert len({call["ClientRequestToken"] for call in calls}) == 1
    check(stored, rows)


def test_where_a_conflict_and_a_lost_lease_meet_the_rest_is_recorded(stored: DynamoMessageRepository) -> None:
    rows = plan(stored, 1, 2, 3)
    mine = lease(stored, rows)
    theirs = lease(stored, mine[:1], "theirs", NOW + 60 * SECOND)
    fault = cancelled("TransactionConflict", "None", "None", "None", "None")
    with answered(stored._dynamodb.client, "TransactWriteItems", fault) as calls:
        recorded = stored.record(MAILING.id, [deferred(mine[0]), sent(mine[1]), deferred(mine[2])])
    assert [one.after.id for one in recorded] == [rows[1].id, rows[2].id]
    assert len(calls) == 3  # the conflict, the lost lease, and then what is left with counters of its own
    assert len({call["ClientRequestToken"] for call in calls}) == 3
    assert read(stored, rows)[0] == theirs[0]
    check(stored, rows)


def test_conflicts_without_end_are_an_error_that_changes_nothing(stored: DynamoMessageRepository) -> None:
    rows = plan(stored, 1)
    pauses: list[float] = []
    fault = cancelled("TransactionConflict", "None")
    with answered(stored._dynamodb.client, "TransactWriteItems", *[fault] * 100) as calls:
        with pytest.raises(TransientError):
            hasty(stored, pauses).record(MAILING.id, [sent(rows[0])])
        assert len(calls) == 8
    assert all(0 <= pause <= min(1, 0.02 * 2**n) for n, pause in enumerate(pauses))
    assert any(pauses)
    assert read(stored, rows) == rows
    check(stored, rows)


def test_a_transaction_that_is_wrong_is_no_passing_error(stored: DynamoMessageRepository) -> None:
    rows = plan(stored, 1)
    client = stored._dynamodb.client
    with (
        answered(client, "TransactWriteItems", cancelled("ValidationError", "None", "None")) as calls,
        pytest.raises(client.exceptions.TransactionCanceledException),
    ):
        stored.record(MAILING.id, [sent(rows[0])])
    assert len(calls) == 1


def statement_errors(*codes: str | None) -> tuple[int, dict[str, object]]:
    responses = [{"Error": {"Code": code, "Message": "injected"}} if code else {} for code in codes]
    return 200, {"Responses": [answer | {"TableName": MessageItem.Meta.table_name} for answer in responses]}


def test_statements_that_were_throttled_are_executed_again_alone(stored: DynamoMessageRepository) -> None:
    rows = plan(stored, 1, 2, 3)
    # The first one is said to be done and so is not sent again; it stays as it was, since nobody did it.
    fault = statement_errors(None, "ThrottlingError", "ProvisionedThroughputExceeded")
    with answered(stored._dynamodb.client, "BatchExecuteStatement", fault) as calls:
        stored.lease(rows, until=UNTIL, version="mine")
    leased = [replace(one, lease_until=UNTIL, leases=1, version="mine") for one in rows[1:]]
    assert read(stored, rows) == [rows[0], *leased]
    assert [len(call["Statements"]) for call in calls] == [3, 2]


def test_moved_rows_are_those_that_were_moved_in_any_round(stored: DynamoMessageRepository) -> None:
    rows = plan(stored, 1, 2, 3)
    at = NOW + timedelta(minutes=15)
    listed = due(stored, Status.QUEUED, at)
    fault = statement_errors("ConditionalCheckFailed", "TransactionConflict", "InternalServerError")
    with answered(stored._dynamodb.client, "BatchExecuteStatement", fault):
        assert stored.move_due(listed, now=at, due_at=at + SECOND) == listed[1:]
    assert len(rows) == 3


def test_statements_throttled_without_end_are_an_error(stored: DynamoMessageRepository) -> None:
    rows = plan(stored, 1)
    fault = statement_errors("ThrottlingError")
    with answered(stored._dynamodb.client, "BatchExecuteStatement", *[fault] * 100) as calls:
        with pytest.raises(TransientError):
            lease(hasty(stored, []), rows)
        assert len(calls) == 8


def test_a_statement_that_is_wrong_is_no_passing_error(stored: DynamoMessageRepository) -> None:
    rows = plan(stored, 1)
    with (
        answered(stored._dynamodb.client, "BatchExecuteStatement", statement_errors("ValidationError")),
        pytest.raises(RuntimeError, match="ValidationError"),
    ):
        lease(stored, rows)


def unprocessed(*rows: Message) -> tuple[int, dict[str, object]]:
    table = MessageItem.Meta.table_name
    keys = {"Keys": [{"id": {"N": str(one.id)}} for one in rows], "ConsistentRead": True}
    return 200, {"Responses": {}, "UnprocessedKeys": {table: keys}}


def test_keys_that_were_not_processed_are_read_again(stored: DynamoMessageRepository) -> None:
    rows = plan(stored, 1, 2)
    with answered(stored._dynamodb.client, "BatchGetItem", unprocessed(*rows), unprocessed(*rows)) as calls:
        assert read(stored, rows) == rows
    assert len(calls) == 3
    assert all(next(iter(call["RequestItems"].values()))["ConsistentRead"] for call in calls)


def test_keys_that_are_never_processed_are_an_error(stored: DynamoMessageRepository) -> None:
    rows = plan(stored, 1)
    with answered(stored._dynamodb.client, "BatchGetItem", *[unprocessed(*rows)] * 100) as calls:
        with pytest.raises(TransientError):
            read(hasty(stored, []), rows)
        assert len(calls) == 8


def test_more_rows_than_one_read_holds_are_read(messages: Repository) -> None:
    rows = plan(messages, *range(1, 105))
    assert len(messages.get_many([one.id for one in rows])) == 104


def test_a_service_that_stays_throttled_is_a_passing_error(stored: DynamoMessageRepository) -> None:
    rows = plan(stored, 1)
    actions: dict[str, Callable[[], object]] = {
        "TransactWriteItems": lambda: stored.record(MAILING.id, [sent(rows[0])]),
        "BatchExecuteStatement": lambda: stored.release(rows),
        "BatchGetItem": lambda: stored.get_many([rows[0].id]),
        "Query": lambda: stored.due(Status.QUEUED, 0, NOW, 1),
    }
    with ExitStack() as faults:
        for operation in actions:
            faults.enter_context(answered(stored._dynamodb.client, operation, *[THROTTLED] * 100))
            faults.enter_context(without_transport_retries(stored._dynamodb.client, operation))
        for action in actions.values():
            with pytest.raises(TransientError):
                action()
    assert read(stored, rows) == rows


def test_a_service_that_is_not_there_is_a_passing_error(stored: DynamoMessageRepository) -> None:
    once = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    client = boto3.client("dynamodb", endpoint_url="http://127.0.0.1:9", config=once)
    with pytest.raises(TransientError):
        DynamoMessageRepository(DynamoDB(client)).get_many([1])
    assert stored.get_many([1]) == {}


def test_free_is_what_the_builder_says() -> None:
    assert row(1).lease_until == UNLEASED
