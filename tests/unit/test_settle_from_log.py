"""After a restore: what was sent since is held back, settled by the senders' log lines, and never sent again."""

import copy
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chalicelib.domain.journal import Line
from chalicelib.domain.mailing import MailingStatus, OnUncertain
from chalicelib.domain.message import OPEN, Reason, Status
from chalicelib.errors import NotFoundError, StaleError, TransientError
from chalicelib.services.hold_mailings import Held, HoldMailings
from chalicelib.services.settle_from_log import SettleFromLog, Settlement
from tests.builders import NOW, mailing, ulid
from tests.fakes.mailings import FakeMailingRepository
from tests.fakes.provider import ACCEPTED, BUSY, TIMEOUT
from tests.fakes.watched import Killed, Moment
from tests.world import QUEUED_GRACE, World, clients

MAILING = mailing()
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class SendersLog(logging.Handler):
    """What senders log, as the functions' log gives it back: two lines an answer (port: `FunctionLogs`)."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._clock = clock
        self._lines: list[Line] = []
        self.since: datetime | None = None
        self.missing = False

    def emit(self, record: logging.LogRecord) -> None:
        fields = {key: value for key, value in vars(record).items() if key not in vars(logging.makeLogRecord({}))}
        fields |= {"message": record.getMessage()}
        now = self._clock()
        self._lines.append(Line(now, now, "sender", json.dumps(fields), fields))

    def pages(self, function: str, terms: Sequence[str], since: datetime) -> Iterator[Sequence[Line]]:
        assert function == "sender"
        if self.missing:
            raise NotFoundError("there is no log group")
        self.since = since
        lines = [line for line in self._lines if all(term in line.raw for term in terms)]
        for start in range(0, len(lines), 2):
            yield lines[start : start + 2]


class Restored:
    """A world whose tables go back to what they were."""

    def __init__(self, log: SendersLog, world: World) -> None:
        self.world, self.log = world, log
        self._kept: dict[str, object] = {}

    def back_up(self) -> None:
        rows, mailings, segments = self.world.messages, self.world.mailings, self.world.segments
        self._kept = copy.deepcopy(
            {"rows": rows.stored, "counts": rows.counts, "mailings": mailings.stored, "segments": segments.stored}
        )

    def restore(self) -> None:
        kept = copy.deepcopy(self._kept)
        self.world.messages.stored, self.world.messages.counts = kept["rows"], kept["counts"]  # type: ignore[assignment]
        self.world.mailings.stored = kept["mailings"]  # type: ignore[assignment]
        self.world.segments.stored = kept["segments"]  # type: ignore[assignment]

    def hold(self) -> Held:
        return HoldMailings(self.world.mailings, self.world.control())()

    def settle(self) -> Settlement:
        world = self.world
        service = SettleFromLog(
            self.log, world.mailings, world._messages, world.finish(), world.clock, world.new_version, QUEUED_GRACE
        )
        return service(NOW - MINUTE)

    def run(self) -> None:
        """Let all functions work for a while."""
        for _ in range(8):
            self.world.dispatch()
            for mailing_id in self.world.scheduler.started:
                self.world.start(mailing_id)
            self.world.plan_waiting()
            self.world.send_waiting()
            self.world.clock.advance(20 * MINUTE)


@pytest.fixture
def restored() -> Iterator[Restored]:
    world = World()
    world.add_clients(clients(5))
    world.mailings.create(MAILING)
    log = SendersLog(world.clock)
    logger = logging.getLogger("chalicelib.services.deliver_message")
    logger.addHandler(log)
    level = logger.level
    logger.setLevel(logging.INFO)
    yield Restored(log, world)
    logger.setLevel(level)
    logger.removeHandler(log)


def test_what_was_sent_since_is_not_sent_again(restored: Restored) -> None:
    world = restored.world
    world.start(MAILING.id)
    world.plan_waiting()
    restored.back_up()
    world.provider.answer = lambda request: BUSY if request.phone.endswith(("1", "2")) else ACCEPTED
    world.clock.advance(MINUTE)
    sent_at = world.clock()
    world.send_waiting()
    restored.restore()

    assert restored.hold() == Held([MAILING.id], [])
    assert restored.settle() == Settlement(3, {MAILING.id: 3}, {})  # type: ignore[arg-type]

    rows = world.rows(MAILING)
    assert [row.status for row in rows] == [Status.QUEUED, Status.QUEUED, *[Status.SENT] * 3]
    assert {(row.sent_at, row.attempts, row.expires_at) for row in rows[2:]} == {(sent_at, 1, MAILING.rows_expire_at)}
    world.check(MAILING)
    world.provider.answer = ACCEPTED
    asked = len(world.provider.requests)
    restored.run()
    assert len(world.provider.requests) == asked  # it is paused

    world.control().resume(MAILING.id)
    restored.run()
    assert len(world.provider.requests) == asked + 2
    assert {row.status for row in world.rows(MAILING)} == {Status.SENT}
    assert world.mailings.stored[MAILING.id].status is MailingStatus.FINISHED
    world.check(MAILING)


def test_a_mailing_that_was_not_planned_then_finds_its_rows_when_it_is(restored: Restored) -> None:
    world = restored.world
    restored.back_up()
    world.start(MAILING.id)
    world.plan_waiting()
    world.send_waiting()
    restored.restore()
    world.tickets.deliver_messages()

    assert restored.hold() == Held([], [MAILING.id])
    assert restored.settle().settled == {MAILING.id: 5}
    assert {row.status for row in world.rows(MAILING)} == {Status.SENT}
    restored.run()
    assert world.mailings.stored[MAILING.id].status is MailingStatus.DRAFT

    world.control().start(MAILING.id)
    restored.run()

    assert not world.provider.accepted_twice()
    assert world.mailings.stored[MAILING.id].status is MailingStatus.FINISHED
    assert world.messages.counts[MAILING.id]["sent"] == 5
    world.check(MAILING)


def test_settling_again_changes_nothing(restored: Restored) -> None:
    world = restored.world
    world.start(MAILING.id)
    world.plan_waiting()
    restored.back_up()
    world.send_waiting()
    restored.restore()
    restored.hold()
    restored.settle()
    rows = world.rows(MAILING)

    assert restored.settle() == Settlement(5, {}, {})  # type: ignore[arg-type]
    assert world.rows(MAILING) == rows
    assert world.mailings.stored[MAILING.id].status is MailingStatus.FINISHED


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("call", [1, 2])
def test_killed_in_it_the_next_one_settles_the_rest(restored: Restored, moment: Moment, call: int) -> None:
    world, calls = restored.world, 0
    world.start(MAILING.id)
    world.plan_waiting()
    restored.back_up()
    world.send_waiting()
    restored.restore()
    restored.hold()

    def kill(at: Moment, method: str) -> None:
        nonlocal calls
        calls += method == "record" and at is moment
        if calls == call:
            calls += 1
            raise Killed

    world.hook = kill
    with pytest.raises(Killed):
        restored.settle()
    restored.settle()
    assert {row.status for row in world.rows(MAILING)} == {Status.SENT}
    world.check(MAILING)


def test_what_may_have_arrived_is_not_sent_again_where_the_mailing_says_so(restored: Restored) -> None:
    world = restored.world
    world.mailings.stored[MAILING.id] = replace(MAILING, on_uncertain=OnUncertain.HOLD)
    world.provider.answer = TIMEOUT
    world.start(MAILING.id)
    world.plan_waiting()
    restored.back_up()
    world.send_waiting()
    restored.restore()
    restored.hold()

    assert restored.settle().settled == {MAILING.id: 5}

    rows = world.rows(MAILING)
    assert {(row.status, row.reason, row.uncertain) for row in rows} == {(Status.FAILED, Reason.UNCERTAIN, 1)}
    world.check(MAILING)
    assert restored.settle().settled == {}


def test_what_may_have_arrived_stays_open_where_it_is_repeated(restored: Restored) -> None:
    world = restored.world
    world.provider.answer = TIMEOUT
    world.start(MAILING.id)
    world.plan_waiting()
    restored.back_up()
    world.send_waiting()
    restored.restore()

    assert restored.settle() == Settlement(0, {}, {})  # type: ignore[arg-type]
    assert {row.status for row in world.rows(MAILING)} <= OPEN


def test_a_row_that_ended_otherwise_follows_its_request(restored: Restored) -> None:
    world = restored.world
    world.start(MAILING.id)
    world.plan_waiting()
    restored.back_up()
    world.send_waiting()
    restored.restore()
    world.clock.now = MAILING.end_at
    restored.run()
    assert {row.status for row in world.rows(MAILING)} == {Status.EXPIRED}

    assert restored.settle().settled == {MAILING.id: 5}
    assert {row.status for row in world.rows(MAILING)} == {Status.SENT}
    world.check(MAILING)


def test_requests_of_mailings_that_are_not_there_are_told(restored: Restored) -> None:
    world = restored.world
    del world.mailings.stored[MAILING.id]
    restored.back_up()
    world.mailings.create(MAILING)
    world.start(MAILING.id)
    world.plan_waiting()
    world.send_waiting()
    restored.restore()

    assert restored.settle() == Settlement(5, {}, {MAILING.id: 5})  # type: ignore[arg-type]
    assert world.messages.stored == {}
    assert restored.log.since == NOW - MINUTE


def test_rows_are_not_made_for_a_mailing_that_is_cancelled(restored: Restored) -> None:
    world = restored.world
    restored.back_up()
    world.start(MAILING.id)
    world.plan_waiting()
    world.send_waiting()
    restored.restore()
    world.control().cancel(MAILING.id)

    assert restored.settle().settled == {}
    assert world.messages.stored == {}


def test_a_log_that_is_missing_is_an_error(restored: Restored) -> None:
    restored.log.missing = True
    with pytest.raises(NotFoundError, match="no log group"):
        restored.settle()


# --- Holding


def test_all_that_could_send_is_held_and_all_else_is_left_alone() -> None:
    world = World()
    started = {"segments": 1, "started_at": NOW, "planned_at": NOW}
    for number in range(250):
        world.mailings.create(mailing(id=ulid(1000 + number), status=MailingStatus.RUNNING, **started))
    for number, status in enumerate(set(MailingStatus) - {MailingStatus.RUNNING, MailingStatus.SCHEDULED}):
        world.mailings.create(mailing(id=ulid(10 + number), status=status))
    coming = mailing(id=ulid(2), start_at=NOW + HOUR)
    over = mailing(id=ulid(3), start_at=NOW - 2 * HOUR, end_at=NOW - HOUR)
    for each in (coming, over):
        world.mailings.create(each)
        world.scheduler.put(each)
    others = {id_: each for id_, each in world.mailings.stored.items() if id_ < ulid(1000) and id_ != coming.id}

    held = HoldMailings(world.mailings, world.control())()

    assert (len(held.paused), held.drafts) == (250, [coming.id])
    assert {world.mailings.stored[id_].status for id_ in held.paused} == {MailingStatus.PAUSED}
    assert world.mailings.stored[coming.id].status is MailingStatus.DRAFT
    assert coming.id not in world.scheduler.scheduled
    assert {id_: world.mailings.stored[id_] for id_ in others} == others


def test_holding_is_not_over_while_the_tables_do_not_answer() -> None:
    class Silent(FakeMailingRepository):
        def replace(self, before: object, after: object) -> None:  # noqa: ARG002
            raise TransientError("throttled")

    world = World()
    world.mailings = Silent(mailing())
    with pytest.raises(TransientError):
        HoldMailings(world.mailings, world.control())()


def test_a_mailing_that_keeps_changing_is_left_to_whoever_changes_it() -> None:
    class Busy(FakeMailingRepository):
        def replace(self, before: object, after: object) -> None:  # noqa: ARG002
            raise StaleError("changed since")

    world = World()
    world.mailings = Busy(mailing())
    assert HoldMailings(world.mailings, world.control())() == Held([], [])
