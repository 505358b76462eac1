"""Everything that may happen, in any order, and cut short anywhere: the invariants of the design hold.

Hypothesis drives the services over the fakes. Each call of a function can be interrupted at one of its writes, or in
the middle of a request: by being killed, or by something else that happens meanwhile. What tickets a killed function
held come back after the visibility timeout, as on SQS.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.backoff import Backoff
from chalicelib.domain.breaker import BreakerState
from chalicelib.domain.client import Client
from chalicelib.domain.local_window import LocalWindow, is_open, next_opening
from chalicelib.domain.mailing import STARTED, STOPPED, Mailing, MailingStatus, OnUncertain
from chalicelib.domain.message import Message, Reason, Status
from chalicelib.domain.tickets import MessagesTicket, SegmentTicket
from chalicelib.domain.timezone import UnknownTimezoneError, resolve_timezone
from chalicelib.errors import ConflictError, NotFoundError, TransientError, ValidationError
from chalicelib.services.manage_mailings import NewMailing
from tests.builders import client, ulid
from tests.fakes.clients import FakeClientRepository
from tests.fakes.clock import FakeClock
from tests.fakes.mailings import FakeMailingRepository
from tests.fakes.provider import ACCEPTED, BUSY, REFUSED, TIMEOUT, FakeProvider, Request
from tests.fakes.queues import FakeTicketQueue, Queued, QueuedSegment
from tests.fakes.watched import Killed, Moment
from tests.world import BREAKER_POLICY, POLICY, QUEUE_WRITES, RUN_TIME, SEGMENT_WRITES, World

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
EFFECTIVE = 5 * SECOND  # within which a change counts for each request
VISIBILITY = 180 * SECOND
QUIET = 45 * MINUTE  # in which whatever was lost has come back, each grace after the other
MAX_CLIENTS, MAX_MAILINGS, PROCESSES = 6, 2, 2

UNAUTHORIZED = Answer(AnswerKind.UNAUTHORIZED, "http_401", 401)
ZONES = ["Europe/Moscow", "Europe/Moscow", "+05:00", "Asia/Tokyo", "America/New_York", "Mars/Olympus"]
WINDOWS = [
    None,
    None,
    None,
    LocalWindow.parse("09:00", "21:00"),
    LocalWindow.parse("22:00", "06:00"),
    LocalWindow.parse("12:00", "12:30"),
]
DURATIONS = [40 * HOUR, 40 * HOUR, 5 * HOUR, 10 * MINUTE, 20 * SECOND]
# What is worth trying in each state; that nothing else is allowed is tested elsewhere.
CONTROLS = {
    MailingStatus.DRAFT: [*["start"] * 10, "cancel", "delete"],
    MailingStatus.SCHEDULED: [*["delete"] * 2, *["cancel"] * 10],
    MailingStatus.RUNNING: [*["pause"] * 6, *["retry"] * 4, "cancel", "delete"],
    MailingStatus.PAUSED: [*["resume"] * 10, "cancel", "delete"],
    MailingStatus.FINISHED: [*["retry"] * 11, "delete"],
    MailingStatus.CANCELLED: ["delete"],
    MailingStatus.DELETED: ["delete"],
}
WAITS = [SECOND / 2, SECOND, 3 * SECOND, 9 * SECOND, 16 * SECOND, 31 * SECOND, MINUTE, 3 * MINUTE, 7 * MINUTE]
WAITS += [*WAITS, 16 * MINUTE, HOUR, 9 * HOUR]

Thing = TypeVar("Thing")
clients_ = st.integers(0, MAX_CLIENTS - 1)
mailings_ = st.integers(0, MAX_MAILINGS - 1)
choices = st.integers(0, 11)
processes = st.integers(0, PROCESSES - 1)
answers = st.sampled_from([BUSY, ACCEPTED, REFUSED, TIMEOUT, UNAUTHORIZED])
changes = st.one_of(
    st.builds(lambda n: {"text": f"text {n}"}, st.integers(1, 9)),
    st.builds(lambda window: {"window": window}, st.sampled_from(WINDOWS)),
    st.builds(lambda duration: {"ends_in": duration}, st.sampled_from(DURATIONS)),
    st.builds(lambda what: {"on_uncertain": what}, st.sampled_from(OnUncertain)),
)


@dataclass(frozen=True)
class Interruption:
    """What happens at the n-th write of a call, before or after it; at the n-th request, `n` counts those."""

    what: str
    n: int
    moment: Moment
    mailing: int
    control: int
    wait: timedelta


interruptions = st.none() | st.builds(
    Interruption,
    st.sampled_from([*["kill"] * 6, *["control"] * 3, "error", "change", "plan", "send", "dispatch"]),
    st.integers(1, 4),
    st.sampled_from(Moment),
    mailings_,
    choices,
    st.sampled_from([timedelta(), SECOND, 4 * SECOND, 9 * SECOND, 16 * SECOND, 40 * SECOND]),
)


class History(Generic[Thing]):
    """What something was like, and since when."""

    def __init__(self) -> None:
        self._entries: dict[str, list[tuple[datetime, Thing | None]]] = defaultdict(list)

    def note(self, id_: str, now: datetime, thing: Thing | None) -> None:
        self._entries[id_].append((now, thing))

    def lately(self, id_: str, now: datetime) -> list[Thing]:
        """List what it was like at any moment of the last five seconds."""
        entries = self._entries[id_]
        ends = [since for since, _ in entries[1:]] + [None]
        return [
            thing
            for (_, thing), end in zip(entries, ends, strict=True)
            if thing is not None and (end is None or end >= now - EFFECTIVE)
        ]

    def ever(self, id_: str, was: Callable[[Thing], bool]) -> bool:
        return any(thing is not None and was(thing) for _, thing in self._entries[id_])

    def versions(self, id_: str) -> int:
        return len(self._entries[id_])


class NotingMailings(FakeMailingRepository):
    """Mailings whose history is known."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.history: History[Mailing] = History()
        self._clock = clock

    def create(self, mailing: Mailing) -> None:
        super().create(mailing)
        self.history.note(mailing.id, self._clock(), mailing)

    def replace(self, before: Mailing, after: Mailing) -> None:
        super().replace(before, after)
        self.history.note(after.id, self._clock(), after)


class NotingClients(FakeClientRepository):
    """Clients whose history is known."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.history: History[Client] = History()
        self._clock = clock

    def create(self, client: Client) -> Client:
        stored = super().create(client)
        self.history.note(client.id, self._clock(), stored)
        return stored

    def replace(self, before: Client, after: Client) -> Client:
        stored = super().replace(before, after)
        self.history.note(after.id, self._clock(), stored)
        return stored

    def delete(self, client: Client) -> None:
        super().delete(client)
        self.history.note(client.id, self._clock(), None)


class SmallTickets(FakeTicketQueue):
    """Tickets of one message each: more that can come in another order, twice, or never."""

    def send_messages(self, mailing: Mailing, tickets: Sequence[tuple[Sequence[int], timedelta]]) -> None:
        super().send_messages(mailing, [([id_], delay) for ids, delay in tickets for id_ in ids])


class Mailings(RuleBasedStateMachine):
    """The services on one side; on the other what the provider was asked, and what was known when."""

    def __init__(self) -> None:
        super().__init__()
        clock = FakeClock()
        self.clock = clock
        self.mailings = NotingMailings(clock)
        self.clients = NotingClients(clock)
        self.provider = FakeProvider(self.asked)
        self.world = World(
            clock=clock,
            clients=self.clients,
            mailings=self.mailings,
            provider=self.provider,
            policy=replace(POLICY, backoff=Backoff(2, 60), max_attempts=3),
            plan_segments=2,
            express_max_clients=2,
            breaker_policy=replace(BREAKER_POLICY, failures=2),
        )
        self.world.tickets = SmallTickets(clock)
        self.caches = [self.world.cached() for _ in range(PROCESSES)]
        self.phones = 0
        self.answer = ACCEPTED
        self.answer_after = timedelta()
        self.interruption: Interruption | None = None
        self.writes = 0
        self.asked_for: list[int] = []  # in the call that is going on
        self.accepted: set[int] = set()
        self.lost: set[int] = set()  # accepted, but whoever was told so was killed before it was recorded
        self.sent: dict[int, Message] = {}
        self.wrong: list[str] = []

    # --- What happens

    @initialize(
        zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=MAX_CLIENTS),
        window=st.sampled_from(WINDOWS),
        duration=st.sampled_from(DURATIONS),
        goes_on=st.sampled_from([True, True, True, False]),
    )
    def begin(self, zones: list[str], window: LocalWindow | None, duration: timedelta, goes_on: bool) -> None:  # noqa: FBT001
        for number, zone in enumerate(zones):
            self.change_client(number, "add", zone)
        self.clock.advance(SECOND)
        self.create_mailing(timedelta(), duration, window, OnUncertain.RETRY, draft=False)
        if goes_on:
            self.planner(0)
            self.plan()

    @rule(
        number=clients_,
        what=st.sampled_from(["zone", "phone", "suppressed phone", "add", "delete"]),
        zone=st.sampled_from(ZONES),
    )
    def change_client(self, number: int, what: str, zone: str) -> None:
        def change(before: Client) -> Client:
            if what == "zone":
                return replace(before, timezone=zone)
            phone = min(self.clients.suppressed, default=None) if what == "suppressed phone" else None
            return replace(before, phone=phone or self.new_phone())

        with suppress(NotFoundError, ConflictError):
            if what == "add":
                self.clients.create(
                    client(id=ulid(number), phone=self.new_phone(), timezone=zone, created_at=self.clock())
                )
            elif what == "delete":
                self.world.manage_clients().delete(ulid(number))
            else:
                self.world.manage_clients().update(ulid(number), change)

    @rule(number=clients_, lifts=st.booleans(), interruption=interruptions)
    def opt_out(self, number: int, lifts: bool, interruption: Interruption | None = None) -> None:  # noqa: FBT001 - drawn
        known = self.clients.get(ulid(number))
        phone = known.phone if known else f"7917{number:07d}"
        suppress = self.world.suppress()
        self.call(lambda: suppress.lift(phone) if lifts else suppress.one(phone), interruption)

    @precondition(lambda self: len(self.open_mailings()) < MAX_MAILINGS)
    @rule(
        starts_in=st.sampled_from([timedelta(), -HOUR, MINUTE]),
        duration=st.sampled_from(DURATIONS),
        window=st.sampled_from(WINDOWS),
        on_uncertain=st.sampled_from(OnUncertain),
        draft=st.booleans(),
    )
    def create_mailing(
        self,
        starts_in: timedelta,
        duration: timedelta,
        window: LocalWindow | None,
        on_uncertain: OnUncertain,
        draft: bool,  # noqa: FBT001 - by name
    ) -> None:
        now = self.clock()
        new = NewMailing(
            now + starts_in, now + MINUTE + duration, "text 0", AudienceFilter(), window, on_uncertain, draft
        )
        self.world.manage().create(new)

    @rule(number=mailings_, choice=choices, interruption=interruptions)
    def control(self, number: int, choice: int, interruption: Interruption | None = None) -> None:
        id_ = self.mailing_id(number)
        worth = CONTROLS[self.mailings.stored[id_].status]
        control = worth[choice % len(worth)]
        services = self.world.manage() if control == "delete" else self.world.control()
        self.call(lambda: getattr(services, control)(id_), interruption)

    @rule(number=mailings_, changes=changes, interruption=interruptions)
    def change_mailing(self, number: int, changes: dict[str, object], interruption: Interruption | None = None) -> None:
        id_ = self.mailing_id(number)
        given = dict(changes)
        if "ends_in" in given:
            given = {"end_at": self.clock() + given["ends_in"]}  # type: ignore[operator]
        self.call(lambda: self.world.manage().update(id_, lambda before: replace(before, **given)), interruption)  # type: ignore[arg-type]

    @precondition(lambda self: self.mailings.starting_until(self.clock(), 1))
    @rule(number=mailings_, interruption=interruptions)
    def planner(self, number: int, interruption: Interruption | None = None) -> None:
        id_ = self.mailing_id(number)
        self.call(lambda: self.world.start(id_), interruption)

    @precondition(lambda self: self.world.tickets.visible_segments())
    @rule(at_most=st.integers(1, 20), run_time=st.sampled_from([RUN_TIME, timedelta()]), interruption=interruptions)
    def plan(self, at_most: int = 20, run_time: timedelta = RUN_TIME, interruption: Interruption | None = None) -> None:
        for ticket in self.world.tickets.deliver_segments(at_most):
            if not self.call(partial(self.plan_one, ticket, run_time), interruption):
                self.come_back(segment=ticket)
            interruption = None

    def plan_one(self, ticket: SegmentTicket, run_time: timedelta) -> None:
        self.world.plan_segment()(ticket, self.clock() + run_time)

    @precondition(lambda self: self.world.tickets.backlog())
    @rule(
        at_most=st.integers(1, 4),
        process=processes,
        answer=answers,
        answer_after=st.sampled_from([timedelta(), SECOND, 9 * SECOND]),
        interruption=interruptions,
    )
    def send(
        self,
        at_most: int = 9,
        process: int = 0,
        answer: Answer = ACCEPTED,
        answer_after: timedelta = timedelta(),
        interruption: Interruption | None = None,
    ) -> None:
        before, self.asked_for = self.asked_for, []
        told, self.answer, self.answer_after = (self.answer, self.answer_after), answer, answer_after
        tickets = self.world.tickets.deliver_messages(at_most)
        failed: set[int] = set()
        if not self.call(lambda: failed.update(self.world.send(tickets, cached=self.caches[process])), interruption):
            self.lost.update(self.asked_for)
            failed = set(range(len(tickets)))
        for id_ in self.accepted.intersection(self.asked_for) - self.lost:
            if self.world.messages.stored[id_].status is not Status.SENT:
                self.wrong.append(f"{self.clock()}: accepted and not recorded: {self.world.messages.stored[id_]}")
        for position in failed:
            self.come_back(messages=tickets[position])
        self.asked_for = before
        self.answer, self.answer_after = told

    @rule(interruption=interruptions)
    def dispatch(self, interruption: Interruption | None = None) -> None:
        self.call(self.world.dispatch, interruption)

    @precondition(lambda self: self.world.tickets.messages or self.world.tickets.queued_segments)
    @rule(index=st.integers(0, 9), often=st.sampled_from([2, 0, 3]))
    def lose_or_repeat_a_ticket(self, index: int, often: int) -> None:
        messages, segments = self.world.tickets.messages, self.world.tickets.queued_segments
        if index < len(messages) or not segments:
            messages.extend([messages.pop(index % len(messages))] * often)
        else:
            segments.extend([segments.pop(index % len(segments))] * often)

    @rule(wait=st.sampled_from(WAITS))
    def pass_time(self, wait: timedelta) -> None:
        self.clock.advance(wait)

    @rule(number=mailings_, left=st.sampled_from([SECOND / 2, 1.1 * SECOND, 3 * SECOND, 12 * SECOND]))
    def come_near_the_end(self, number: int, left: timedelta) -> None:
        self.clock.now = max(self.clock.now, self.mailings.stored[self.mailing_id(number)].end_at - left)

    @rule(answer=answers)
    def go_on(self, answer: Answer) -> None:
        """Let everything work as it should for a minute."""
        self.minute(answer)

    # What matters most comes most often: a rule is drawn by its names.
    plan_too = plan_again = plan
    send_too = send_again = send_once_more = send

    # --- What must hold

    @invariant()
    def no_request_was_wrong(self) -> None:
        assert not self.wrong

    @invariant()
    def rows_and_counters_agree(self) -> None:
        for mailing in self.mailings.stored.values():
            self.world.check(mailing)

    @invariant()
    def clients_know_whether_their_phone_is_suppressed(self) -> None:
        for one in self.clients.stored.values():
            assert one.suppressed == (one.phone in self.clients.suppressed)

    @invariant()
    def what_was_sent_stays_as_it_is(self) -> None:
        for id_, row in self.sent.items():
            assert self.world.messages.stored[id_] == row
        self.sent |= {id_: row for id_, row in self.world.messages.stored.items() if row.status is Status.SENT}

    @invariant()
    def what_is_finished_has_no_open_row(self) -> None:
        for mailing in self.mailings.stored.values():
            if mailing.status is MailingStatus.FINISHED:
                assert not [row for row in self.world.rows(mailing) if row.is_open]

    def teardown(self) -> None:
        """Let everything be well: what can be sent is sent soon, and all comes to an end."""
        self.go_through(self.clock() + QUIET)
        self.check_all()
        now = self.clock()
        for mailing in self.mailings.stored.values():
            for row in self.world.rows(mailing):
                if row.is_open:
                    assert self.may_wait(row, mailing, now), (row, mailing, now)
        self.go_through(None)
        for mailing in self.mailings.stored.values():
            assert not [row for row in self.world.rows(mailing) if row.is_open]
            assert mailing.status not in {*STARTED, MailingStatus.SCHEDULED}
            if mailing.status is MailingStatus.FINISHED:
                assert {row.client_id for row in self.world.rows(mailing)} >= self.meant_by(mailing)
        self.check_all()

    def meant_by(self, mailing: Mailing) -> set[str]:
        """Name the clients who were there before the mailing started, still are, and never opted out."""
        return {
            id_
            for id_, one in self.clients.stored.items()
            if one.created_at < (mailing.started_at or self.clock())
            and not self.clients.history.ever(id_, _is_suppressed)
        }

    def check_all(self) -> None:
        self.no_request_was_wrong()
        self.rows_and_counters_agree()
        self.what_was_sent_stays_as_it_is()
        self.what_is_finished_has_no_open_row()

    def may_wait(self, row: Message, mailing: Mailing, now: datetime) -> bool:
        """Tell whether there is a reason for which a row is still open after a long time without trouble."""
        if mailing.status is MailingStatus.PAUSED:
            return now < mailing.end_at and row.reason is Reason.PAUSED
        client_ = self.clients.get(row.client_id)
        if mailing.status in STOPPED or mailing.window is None or row.reason is not Reason.WINDOW:
            return False
        if client_ is None or self.clients.history.versions(client_.id) > 1:
            return True  # it is looked at when the window would have opened
        zone = resolve_timezone(client_.timezone)
        opened_lately = (next_opening(mailing.window, zone, moment) for moment in (now, now - 5 * MINUTE))
        return row.not_before in {min(opens_at, mailing.end_at) for opens_at in opened_lately} - {now}

    # --- Requests

    def asked(self, request: Request) -> Answer:
        """See whether the request may be, let something happen meanwhile, and answer."""
        now = self.clock()
        self.wrong += self.reasons_against(request, now)
        self.asked_for.append(request.id)
        answer = self.answer
        if answer.kind is AnswerKind.ACCEPTED:
            self.accepted.add(request.id)
            self.lost.discard(request.id)
        over = now + min(self.answer_after, request.timeout_seconds * SECOND)
        if self.interruption and self.interruption.n == len(self.asked_for) and self.interruption.what != "kill":
            happens, self.interruption = self.interruption, None
            self.meanwhile(happens, over)
        self.clock.now = max(self.clock.now, over)
        return answer

    def reasons_against(self, request: Request, now: datetime) -> list[str]:
        row = self.world.messages.stored[request.id]
        mailings = self.mailings.history.lately(row.mailing_id, now)
        clients = self.clients.history.lately(row.client_id, now)
        facts = {
            "the row has ended": not row.is_open,
            "nobody holds the row for so long": row.lease_until is None
            or row.lease_until <= now + request.timeout_seconds * SECOND,
            "it was accepted, and recorded": request.id in self.accepted - self.lost,
            "the provider is down, and this is no probe": self.world.control_items.stored.state is BreakerState.OPEN,
            "neither the mailing nor the client was such lately": not any(
                may_be_asked(request, mailing, client_, now) for mailing in mailings for client_ in clients
            ),
        }
        return [f"{now}: {fact}: {request} {row} {mailings} {clients}" for fact, wrong in facts.items() if wrong]

    # --- Interruptions

    def call(self, function: Callable[[], object], interruption: Interruption | None) -> bool:
        """Call a function of ours; tells whether it came to its end."""
        outer = (self.world.hook, self.interruption, self.writes)
        self.interruption, self.writes = interruption, 0
        self.world.hook = self.at_write if interruption else None
        try:
            function()
        except (ConflictError, NotFoundError, ValidationError):
            return True
        except (Killed, TransientError):
            return False
        finally:
            self.world.hook, self.interruption, self.writes = outer
        return True

    def at_write(self, moment: Moment, name: str) -> None:
        self.writes += moment is Moment.BEFORE
        happens = self.interruption
        if happens is None or moment is not happens.moment or self.writes != happens.n:
            return
        self.interruption = None
        if happens.what == "kill":
            raise Killed(name)
        if happens.what != "error":
            self.meanwhile(happens, self.clock() + happens.wait)
        elif name in (*QUEUE_WRITES, *SEGMENT_WRITES):
            raise TransientError(name)

    def meanwhile(self, happens: Interruption, until: datetime) -> None:
        """Let something else happen, and its tickets be worked off, by the other process, until then."""
        hook, self.world.hook = self.world.hook, None
        if until - self.clock() > POLICY.request_timeout:
            self.lost.update(self.asked_for)  # whoever sleeps so long may lose the rows that it holds
        if happens.what == "control":
            self.control(happens.mailing, happens.control)
        elif happens.what == "change":
            self.change_mailing(happens.mailing, {"window": WINDOWS[happens.n % len(WINDOWS)]})
        elif happens.what == "dispatch":
            self.dispatch()
        if happens.what != "send":
            self.plan()
        self.clock.now = max(self.clock.now, until)
        if happens.what != "send":
            self.plan()
        else:
            self.send(process=1)
        self.world.hook = hook

    def come_back(self, messages: MessagesTicket | None = None, segment: SegmentTicket | None = None) -> None:
        """Have a ticket delivered again when its visibility timeout is over."""
        visible_at = self.clock() + VISIBILITY
        if messages:
            self.world.tickets.messages.append(Queued(messages, VISIBILITY, visible_at, express=False))
        if segment:
            self.world.tickets.queued_segments.append(QueuedSegment(segment, VISIBILITY, visible_at))

    # --- When all is well

    def minute(self, answer: Answer = ACCEPTED) -> None:
        self.dispatch()
        for _ in range(3):
            self.work(answer)
            self.clock.advance(20 * SECOND)

    def work(self, answer: Answer = ACCEPTED) -> None:
        """Work off whatever is to be done at this moment."""
        started, self.world.scheduler.started = self.world.scheduler.started, []
        for mailing_id in started:
            self.world.start(mailing_id)
        while self.world.tickets.visible_segments() or self.world.tickets.backlog():
            self.plan()
            self.send(answer=answer)

    def go_through(self, until: datetime | None) -> None:
        """Go from minute to minute in which there is something to do, until then or until there is nothing."""
        for _ in range(1000):
            self.dispatch()
            self.work()
            moments = [
                *(queued.visible_at for queued in self.world.tickets.messages),
                *(queued.visible_at for queued in self.world.tickets.queued_segments),
                *(row.due_at for row in self.world.messages.stored.values() if row.due_at),
                *(segment.due_at for segment in self.world.segments.stored.values() if segment.due_at),
                *(one.start_at for one in self.mailings.stored.values() if one.status is MailingStatus.SCHEDULED),
            ]
            next_ = max(self.clock() + SECOND, min(moments, default=until or self.clock()))
            if until and next_ >= until:
                self.clock.now = until
                return
            if not moments:
                self.dispatch()
                return
            self.clock.now = next_
        raise AssertionError("it does not come to an end")

    # --- Names

    def new_phone(self) -> str:
        self.phones += 1
        return f"7916{self.phones:07d}"

    def open_mailings(self) -> list[str]:
        return sorted(id_ for id_, one in self.mailings.stored.items() if one.status not in STOPPED)

    def mailing_id(self, number: int) -> str:
        ids = self.open_mailings() or sorted(self.mailings.stored)
        return ids[number % len(ids)]


def _is_suppressed(client_: Client) -> bool:
    return client_.suppressed


def may_be_asked(request: Request, mailing: Mailing, client_: Client, now: datetime) -> bool:
    """Tell whether this is a request that such a mailing would make of such a client."""
    if mailing.status in {MailingStatus.DRAFT, MailingStatus.SCHEDULED, MailingStatus.PAUSED, *STOPPED}:
        return False
    if (request.text, request.phone, client_.suppressed) != (mailing.text, client_.phone, False):
        return False
    left = mailing.end_at - now
    if left <= SECOND or request.timeout_seconds * SECOND > min(left, POLICY.request_timeout):
        return False
    try:
        return mailing.window is None or is_open(mailing.window, resolve_timezone(client_.timezone), now)
    except UnknownTimezoneError:
        return False


# The examples are cheap, and it takes many to meet what matters: the same ones each time, but for the long profile.
Mailings.TestCase.settings = settings(
    max_examples=4 * settings().max_examples,
    stateful_step_count=40,
    derandomize=settings.get_current_profile_name() != "long",
)
TestMailings = pytest.mark.timeout(3600)(Mailings.TestCase)
