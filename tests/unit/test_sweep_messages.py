from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest

from chalicelib.domain.answer import Answer
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import UNLEASED, Message, Reason, Status, message_id
from chalicelib.domain.segment import SegmentKind
from chalicelib.domain.tickets import MessagesTicket, SegmentTicket
from chalicelib.services.order_sweep import SECOND_LOOK
from chalicelib.services.plan_segment import SEGMENT_GRACE
from chalicelib.services.send_messages import LEASE
from chalicelib.services.sweep_messages import ROWS_PER_PAGE
from tests.builders import NOW, mailing, message, ulid
from tests.fakes.provider import ACCEPTED, BUSY, Request
from tests.fakes.watched import Hook, Killed, KillSwitch, Moment
from tests.world import QUEUED_GRACE, RUN_TIME, World, clients

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
RUNNING = mailing(
    status=MailingStatus.RUNNING, started_at=NOW, planned_at=NOW, segments=1, message_shards=4, express=True, version=2
)
AT_TEN = LocalWindow.parse("10:00", "21:00")  # in Moscow it is 09:00 at NOW
Control = Callable[[World], object]


def row_of(of: Mailing, number: int, **changes: object) -> Message:
    id_ = message_id(of.id, ulid(number))
    return message(mailing_id=of.id, client_id=ulid(number), mailing_shard=of.part_of(id_), **changes)


def waiting(of: Mailing, number: int, reason: Reason, until: datetime) -> Message:
    facts = {"status": Status.DEFERRED, "reason": reason, "not_before": until, "due_at": until + 2 * MINUTE}
    return row_of(of, number, **facts)


def ended(of: Mailing, number: int, status: Status, reason: Reason | None = None, **changes: object) -> Message:
    return row_of(of, number, status=status, reason=reason, due_at=None, lease_until=None, **changes)


NAMES = (
    "queued",
    "window",
    "retry",
    "outage",
    "rate",
    "paused",
    "leased",
    "dead",
    "sent",
    "refused",
    "attempts",
    "expired",
    "cancelled",
)
NUMBER = {name: number for number, name in enumerate(NAMES, start=1)}
FAILED = {"refused", "attempts"}
ENDED = {"sent", *FAILED, "expired", "cancelled"}
FOR_PROVIDER = {"outage", "rate"}
BACK_OFF = {"retry", *FOR_PROVIDER}


def rows_in_every_state(of: Mailing) -> list[Message]:
    soon = NOW + 5 * MINUTE
    return [
        row_of(of, NUMBER["queued"]),
        waiting(of, NUMBER["window"], Reason.WINDOW, NOW + HOUR),
        waiting(of, NUMBER["retry"], Reason.RETRY, soon),
        waiting(of, NUMBER["outage"], Reason.OUTAGE, soon),
        waiting(of, NUMBER["rate"], Reason.RATE, soon),
        waiting(of, NUMBER["paused"], Reason.PAUSED, of.end_at),
        row_of(of, NUMBER["leased"], lease_until=NOW + 30 * SECOND, leases=1, version="theirs"),
        row_of(of, NUMBER["dead"], lease_until=NOW - SECOND, leases=1, version="nobody's"),
        ended(of, NUMBER["sent"], Status.SENT, attempts=1, sent_at=NOW),
        ended(of, NUMBER["refused"], Status.FAILED, Reason.REFUSED, attempts=1),
        ended(of, NUMBER["attempts"], Status.FAILED, Reason.ATTEMPTS, attempts=20, uncertain=3),
        ended(of, NUMBER["expired"], Status.EXPIRED),
        ended(of, NUMBER["cancelled"], Status.CANCELLED),
    ]


def world(of: Mailing = RUNNING, *, rows: list[Message] | None = None) -> World:
    made = World()
    made.add_clients(clients(len(NAMES)))
    made.mailings.create(of)
    for row in rows_in_every_state(of) if rows is None else rows:
        made.messages.add(row)
    return made


def by_name(made: World) -> dict[str, Message]:
    rows = {row.client_id: row for row in made.rows(RUNNING)}
    return {name: rows[ulid(number)] for name, number in NUMBER.items()}


def named(made: World, *statuses: tuple[Status, Reason | None]) -> set[str]:
    return {name for name, row in by_name(made).items() if (row.status, row.reason) in statuses}


def stored(made: World) -> Mailing:
    return made.mailings.stored[RUNNING.id]


def pause(made: World) -> object:
    return made.control().pause(RUNNING.id)


def resume(made: World) -> object:
    return made.control().resume(RUNNING.id)


def cancel(made: World) -> object:
    return made.control().cancel(RUNNING.id)


def retry(made: World) -> object:
    return made.control().retry(RUNNING.id)


def delete(made: World) -> object:
    made.manage().delete(RUNNING.id)
    return None


def change(**changes: object) -> Control:
    def changed(made: World) -> object:
        return made.manage().update(RUNNING.id, lambda before: replace(before, **changes))  # type: ignore[arg-type]

    return changed


def swept(made: World, control: Control) -> World:
    """Use a control and let its first look pass; whatever nobody may change has not changed."""
    before = by_name(made)
    control(made)
    made.plan_waiting()
    after = by_name(made)
    for name in ("leased", "sent", "expired", "cancelled"):
        assert after[name] == before[name]
    made.check(RUNNING)
    return made


def second_look(made: World) -> None:
    made.clock.advance(SECOND_LOOK)
    made.plan_waiting()


def minutes(made: World, number: int) -> None:
    """Let everything work as it should for some time."""
    for _ in range(number):
        made.dispatch()
        made.plan_waiting()
        made.send_waiting()
        made.clock.advance(MINUTE)


# --- Rows in every state


def test_a_pause_holds_whatever_would_be_sent_next() -> None:
    made = swept(world(), pause)
    assert named(made, (Status.DEFERRED, Reason.PAUSED)) == {*FOR_PROVIDER, "queued", "window", "paused", "dead"}
    for name in (*FOR_PROVIDER, "queued", "window", "dead"):
        row = by_name(made)[name]
        assert (row.not_before, row.due_at, row.lease_until) == (RUNNING.end_at, RUNNING.end_at, UNLEASED)
    assert by_name(made)["retry"].reason is Reason.RETRY
    assert made.tickets.messages == []


def test_what_backs_off_during_a_pause_is_held_when_its_time_comes() -> None:
    made = swept(world(), pause)
    made.clock.advance(7 * MINUTE)
    made.dispatch()
    made.send_waiting()
    assert named(made, (Status.DEFERRED, Reason.PAUSED)) == {*BACK_OFF, "queued", "window", "paused", "dead"}
    assert made.provider.requests == []


def test_what_a_pause_held_is_queued_at_once_with_its_ticket() -> None:
    of = replace(RUNNING, status=MailingStatus.PAUSED)
    made = swept(world(of), resume)
    queued = {"window", "paused"}
    assert named(made, (Status.QUEUED, None)) == {*queued, "queued", "leased", "dead"}
    assert Counter(made.tickets.ids()) == Counter(by_name(made)[name].id for name in queued)
    assert {one.delay for one in made.tickets.messages} == {timedelta()}
    assert {by_name(made)[name].due_at for name in queued} == {NOW + QUEUED_GRACE}


def test_after_a_pause_rows_wait_for_their_window() -> None:
    of = replace(RUNNING, status=MailingStatus.PAUSED, window=AT_TEN)
    made = swept(world(of), resume)
    assert named(made, (Status.DEFERRED, Reason.WINDOW)) == {*FOR_PROVIDER, "queued", "window", "paused", "dead"}
    assert by_name(made)["paused"].not_before == NOW + HOUR
    assert made.tickets.messages == []


def test_a_short_wait_for_the_window_has_a_delayed_ticket() -> None:
    made = swept(world(), change(window=LocalWindow.parse("09:05", "21:00")))
    put_off = {*FOR_PROVIDER, "queued", "window", "paused", "dead"}
    assert Counter(made.tickets.ids()) == Counter(by_name(made)[name].id for name in put_off)
    assert {one.delay for one in made.tickets.messages} == {5 * MINUTE}
    assert {by_name(made)[name].due_at for name in put_off} == {NOW + 7 * MINUTE}


def test_a_window_that_is_taken_away_frees_whom_it_held() -> None:
    made = swept(world(replace(RUNNING, window=AT_TEN)), change(window=None))
    assert named(made, (Status.QUEUED, None)) == {"queued", "leased", "dead", "window", "paused"}
    assert set(made.tickets.ids()) == {by_name(made)[name].id for name in ("window", "paused")}


def test_an_earlier_end_shortens_every_wait() -> None:
    end_at = NOW + 2 * MINUTE
    made = swept(world(replace(RUNNING, window=AT_TEN)), change(end_at=end_at))
    waits = {name: row.not_before for name, row in by_name(made).items() if row.status is Status.DEFERRED}
    assert waits == dict.fromkeys({*BACK_OFF, "queued", "window", "paused", "dead"}, end_at)


def test_rows_whose_end_has_come_expire() -> None:
    made = world()
    change(end_at=NOW + SECOND)(made)
    made.clock.advance(SECOND)
    made.plan_waiting()
    assert named(made, (Status.EXPIRED, None)) == set(NAMES) - ENDED - {"leased"} | {"expired"}


@pytest.mark.parametrize("control", [cancel, delete])
def test_open_rows_of_a_stopped_mailing_are_cancelled(control: Control) -> None:
    made = swept(world(), control)
    assert named(made, (Status.CANCELLED, None)) == set(NAMES) - ENDED - {"leased"} | {"cancelled"}
    assert by_name(made)["queued"].expires_at == RUNNING.rows_expire_at
    assert made.tickets.messages == []


def test_rows_of_a_client_that_is_gone_are_cancelled() -> None:
    made = world()
    made.clients.delete(made.clients.stored[ulid(NUMBER["window"])])
    swept(made, change(window=AT_TEN))
    assert by_name(made)["window"].status is Status.CANCELLED


def test_rows_of_a_zone_that_does_not_resolve_fail() -> None:
    made = world()
    one = made.clients.stored[ulid(NUMBER["queued"])]
    made.clients.replace(one, replace(one, timezone="Mars/Olympus"))
    swept(made, change(window=AT_TEN))
    assert named(made, (Status.FAILED, Reason.TIMEZONE)) == {"queued"}


def test_only_failed_rows_are_queued_again() -> None:
    made = world()
    before = by_name(made)
    retry(made)
    made.plan_waiting()
    after = by_name(made)
    assert {name for name in NAMES if after[name] != before[name]} == FAILED
    for name in FAILED:
        assert (after[name].status, after[name].reason, after[name].due_at) == (Status.QUEUED, None, NOW + QUEUED_GRACE)
        assert after[name].attempts == after[name].attempts_before == before[name].attempts
    assert Counter(made.tickets.ids()) == Counter(after[name].id for name in FAILED)
    made.check(RUNNING)


def test_a_row_that_is_retried_has_all_its_attempts_before_it() -> None:
    made = world(rows=[ended(RUNNING, 1, Status.FAILED, Reason.ATTEMPTS, attempts=20)])
    made.breaker_policy = replace(made.breaker_policy, failures=100)
    retry(made)
    made.plan_waiting()
    made.provider.answer = BUSY
    minutes(made, 19 * 15)
    (row,) = made.rows(RUNNING)
    assert (row.status, row.reason, row.attempts) == (Status.FAILED, Reason.ATTEMPTS, 40)
    assert len(made.provider.requests) == 20
    made.check(RUNNING)


def test_a_mailing_without_rows_is_swept_without_a_word_to_anybody() -> None:
    made = world(rows=[])
    made.control().cancel(RUNNING.id)
    made.plan_waiting()
    second_look(made)
    assert all(segment.done for segment in made.segments.of_mailing(RUNNING.id))


# --- The whole way


def test_what_was_paused_and_resumed_is_sent_once() -> None:
    made = world()
    for control in (pause, resume):
        control(made)
        made.plan_waiting()
        second_look(made)
    minutes(made, 20)
    asked = Counter(request.id for request in made.provider.requests)
    assert asked == Counter(by_name(made)[name].id for name in set(NAMES) - ENDED)
    assert stored(made).status is MailingStatus.FINISHED
    made.check(RUNNING)


def test_what_was_cancelled_is_not_sent_and_stays_cancelled() -> None:
    made = world()
    made.tickets.send_messages(RUNNING, [([row.id for row in made.rows(RUNNING)], timedelta())])
    cancel(made)
    minutes(made, 20)
    assert made.provider.requests == []
    assert not [row for row in made.rows(RUNNING) if row.is_open]
    assert stored(made).status is MailingStatus.CANCELLED
    made.check(RUNNING)


def test_after_a_retry_the_failed_ones_are_sent_and_the_mailing_finishes_again() -> None:
    done = [row for row in rows_in_every_state(RUNNING) if not row.is_open]
    made = world(replace(RUNNING, status=MailingStatus.FINISHED, finished_at=NOW), rows=done)
    retry(made)
    assert (stored(made).status, stored(made).finished_at) == (MailingStatus.RUNNING, None)
    made.dispatch()
    assert stored(made).status is MailingStatus.RUNNING  # nothing is open yet, but something will be
    minutes(made, 2)
    assert stored(made).status is MailingStatus.FINISHED
    assert len(made.provider.requests) == 2
    made.check(RUNNING)


def test_a_retry_that_finds_nothing_finishes_the_mailing_again() -> None:
    made = world(replace(RUNNING, status=MailingStatus.FINISHED), rows=[ended(RUNNING, 1, Status.SENT)])
    retry(made)
    made.plan_waiting()
    assert stored(made).status is MailingStatus.FINISHED


def test_a_paused_mailing_whose_rows_all_end_finishes() -> None:
    made = world(rows=[row_of(RUNNING, 1), row_of(RUNNING, 2)])
    pause(made)
    made.plan_waiting()
    assert stored(made).status is MailingStatus.PAUSED
    made.clock.now = RUNNING.end_at
    minutes(made, 1)
    assert {row.status for row in made.rows(RUNNING)} == {Status.EXPIRED}
    assert stored(made).status is MailingStatus.FINISHED


# --- Pages


def many(number: int) -> tuple[World, Mailing]:
    of = replace(RUNNING, message_shards=1)
    made = world(of, rows=[row_of(of, n) for n in range(1, number + 1)])
    made.add_clients(clients(number - len(NAMES), first=len(NAMES) + 1))
    return made, of


def at_save(number: int, happens: Callable[[], object]) -> Hook:
    """Make a hook that lets something happen after the n-th cursor was saved."""
    saves = count(1)

    def hook(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.AFTER, "save") and next(saves) == number:
            happens()

    return hook


@pytest.mark.parametrize("number", [ROWS_PER_PAGE - 1, ROWS_PER_PAGE, ROWS_PER_PAGE + 1, 2 * ROWS_PER_PAGE + 1])
def test_a_part_is_swept_to_its_end_page_by_page(number: int) -> None:
    made, of = many(number)
    pause(made)
    made.plan_waiting()
    assert {row.reason for row in made.rows(of)} == {Reason.PAUSED}
    made.check(of)


def test_all_parts_of_a_segment_are_swept() -> None:
    of = replace(RUNNING, message_shards=64)
    made = world(of, rows=[row_of(of, n) for n in range(1, 200)])
    cancel(made)
    made.plan_waiting()
    assert {row.status for row in made.rows(of)} == {Status.CANCELLED}


def test_when_the_time_is_over_a_sweep_goes_on_from_its_cursor() -> None:
    made, of = many(ROWS_PER_PAGE + 5)
    pause(made)
    (ticket,) = made.tickets.deliver_segments()
    made.hook = at_save(1, lambda: made.clock.advance(RUN_TIME))
    made.plan_segment()(ticket, made.clock() + RUN_TIME)
    assert Counter(row.reason for row in made.rows(of)) == {Reason.PAUSED: ROWS_PER_PAGE, None: 5}
    assert ticket in made.tickets.segments
    made.hook = None
    made.plan_waiting()
    assert {row.reason for row in made.rows(of)} == {Reason.PAUSED}
    made.check(of)


# --- One sweep and another


def test_a_later_change_makes_an_earlier_sweep_obsolete() -> None:
    made = world(rows=[row_of(RUNNING, 1)])
    pause(made)
    tickets = made.tickets.deliver_segments()
    resume(made)
    for ticket in tickets:
        made.plan_segment()(ticket, made.clock() + RUN_TIME)
    assert made.rows(RUNNING)[0].status is Status.QUEUED
    assert all(made.segments.stored[RUNNING.id, ticket.segment].done for ticket in tickets)


def test_a_later_change_does_not_make_a_retry_obsolete() -> None:
    made = world()
    retry(made)
    pause(made)
    made.plan_waiting()
    second_look(made)
    assert named(made, (Status.FAILED, Reason.REFUSED), (Status.FAILED, Reason.ATTEMPTS)) == set()
    resume(made)
    minutes(made, 2)
    assert named(made, (Status.SENT, None)) >= FAILED


def test_a_retry_does_not_make_an_earlier_change_obsolete() -> None:
    made = world(replace(RUNNING, status=MailingStatus.PAUSED))
    resume(made)
    retry(made)
    made.plan_waiting()
    assert by_name(made)["paused"].status is Status.QUEUED
    assert named(made, (Status.QUEUED, None)) >= {*FAILED, "paused"}


def test_a_retry_of_a_mailing_that_is_stopped_queues_nothing() -> None:
    made = world()
    retry(made)
    cancel(made)
    made.plan_waiting()
    assert named(made, (Status.FAILED, Reason.REFUSED), (Status.FAILED, Reason.ATTEMPTS)) == FAILED
    assert all(one.done for one in made.segments.of_mailing(RUNNING.id) if one.kind is SegmentKind.RETRY)


def test_a_sweep_that_runs_while_a_later_one_is_ordered_has_not_the_last_word() -> None:
    made, of = many(ROWS_PER_PAGE + 5)
    pause(made)
    (ticket,) = made.tickets.deliver_segments()

    def overtake() -> None:
        made.hook = None
        resume(made)
        made.plan_waiting()
        made.clock.advance(16 * SECOND)
        made.plan_waiting()

    made.hook = at_save(1, overtake)
    made.plan_segment()(ticket, made.clock() + RUN_TIME)
    minutes(made, 20)
    assert {row.status for row in made.rows(of)} == {Status.SENT}


# --- Senders meanwhile


def ticket_for(*rows: Message) -> MessagesTicket:
    return MessagesTicket(v=1, mailing_id=RUNNING.id, message_ids=[row.id for row in rows])


def test_what_a_sender_put_off_after_the_first_look_is_freed_by_the_second() -> None:
    rows = [row_of(RUNNING, 1)]
    made = world(replace(RUNNING, status=MailingStatus.PAUSED), rows=rows)
    process = made.cached()
    process.get(RUNNING.id)
    resume(made)
    made.plan_waiting()
    made.clock.advance(SECOND)
    made.send([ticket_for(*rows)], cached=process)
    assert made.rows(RUNNING)[0].reason is Reason.PAUSED
    second_look(made)
    assert made.rows(RUNNING)[0].status is Status.QUEUED
    made.send_waiting()
    assert made.rows(RUNNING)[0].status is Status.SENT


def test_what_a_sender_held_during_both_looks_is_not_forgotten() -> None:
    """A ticket from before the pause finds the row too early and keeps its lease while others take their time."""
    held, *slow = waiting(RUNNING, 1, Reason.PAUSED, RUNNING.end_at), *(row_of(RUNNING, n) for n in range(2, 5))
    made = world(replace(RUNNING, status=MailingStatus.PAUSED), rows=[held, *slow])
    resume(made)

    def answer(_: Request) -> Answer:
        made.plan_waiting()
        made.clock.advance(8 * SECOND)
        return ACCEPTED

    made.provider.answer = answer
    made.send([ticket_for(held, *slow)])
    made.provider.answer = ACCEPTED
    minutes(made, 20)
    assert {row.status for row in made.rows(RUNNING)} == {Status.SENT}


def test_what_a_dead_sender_held_during_both_looks_is_freed_when_its_ticket_comes_back() -> None:
    held = replace(waiting(RUNNING, 1, Reason.PAUSED, RUNNING.end_at), lease_until=NOW + LEASE, leases=1)
    made = world(replace(RUNNING, status=MailingStatus.PAUSED), rows=[held])
    resume(made)
    made.plan_waiting()
    assert made.rows(RUNNING) == [held]
    second_look(made)
    assert made.rows(RUNNING) == [held]
    made.clock.advance(3 * MINUTE)
    made.send([ticket_for(held)])
    assert made.rows(RUNNING)[0].status is Status.SENT


# --- Killed


CONTROLS: list[tuple[Control, MailingStatus]] = [
    (pause, MailingStatus.RUNNING),
    (resume, MailingStatus.PAUSED),
    (cancel, MailingStatus.RUNNING),
    (delete, MailingStatus.RUNNING),
    (retry, MailingStatus.RUNNING),
    (change(window=AT_TEN), MailingStatus.RUNNING),
    (change(end_at=NOW + 3 * MINUTE), MailingStatus.RUNNING),
]


def shape(made: World) -> dict[str, tuple[Status, Reason | None, int, int, datetime | None]]:
    return {
        name: (row.status, row.reason, row.attempts, row.attempts_before, row.not_before)
        for name, row in by_name(made).items()
    }


def after_all_graces(made: World) -> None:
    made.hook = None
    made.clock.advance(SECOND_LOOK + SEGMENT_GRACE)
    made.dispatch()
    made.plan_waiting()


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize(("control", "status"), CONTROLS)
def test_killed_at_any_write_of_a_sweep_the_rows_follow_all_the_same(
    control: Control, status: MailingStatus, moment: Moment
) -> None:
    unharmed = world(replace(RUNNING, status=status))
    control(unharmed)
    unharmed.plan_waiting()
    after_all_graces(unharmed)
    for n in count(1):
        made = world(replace(RUNNING, status=status))
        control(made)
        made.hook = KillSwitch(n, moment)
        try:
            made.plan_waiting()
        except Killed:
            after_all_graces(made)
        else:
            break
        assert shape(made) == shape(unharmed)
        assert all(segment.done for segment in made.segments.of_mailing(RUNNING.id))
        made.check(RUNNING)
    assert n > 4 * 3  # rows, tickets and cursor of each of four parts


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize(("control", "status"), [(resume, MailingStatus.PAUSED), (retry, MailingStatus.RUNNING)])
def test_killed_at_any_write_what_a_sweep_queues_is_sent_once(
    control: Control, status: MailingStatus, moment: Moment
) -> None:
    for n in count(1):
        made = world(replace(RUNNING, status=status))
        control(made)
        made.hook = KillSwitch(n, moment)
        try:
            made.plan_waiting()
        except Killed:
            made.hook = None
        else:
            break
        minutes(made, 90)
        left = {name for name, row in by_name(made).items() if row.is_open}
        assert left <= {"paused"}  # which no control of the retried mailing made
        assert control is retry or not left
        assert made.provider.accepted_twice() == set()
        assert named(made, (Status.SENT, None)) >= (FAILED if control is retry else {"window", "paused"})
        made.check(RUNNING)
    assert n > 4 * 3


def test_swept_twice_by_two_at_once_nothing_is_counted_twice() -> None:
    made = world()
    retry(made)
    first = made.tickets.segments[0]

    def overtake(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.BEFORE, "record"):
            made.hook = None
            made.plan_segment()(first, made.clock() + RUN_TIME)

    made.hook = overtake
    made.plan_segment()(SegmentTicket(v=1, mailing_id=RUNNING.id, segment=first.segment), made.clock() + RUN_TIME)
    made.plan_waiting()
    assert Counter(made.tickets.ids()) == Counter(by_name(made)[name].id for name in FAILED)
    made.check(RUNNING)
