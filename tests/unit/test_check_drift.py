"""Recount, repair and the night's check, on fakes: what is drift, what only looks like it, and who may be killed."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.figures import DriftCheck
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import Message, Outcome, Reason, Status, ended, message_id
from chalicelib.errors import NotFoundError, TransientError
from chalicelib.ports import Page
from chalicelib.services import check_drift
from chalicelib.services.check_drift import DriftReport, Verdict
from chalicelib.services.repair_counters import Repair
from tests.builders import NOW, mailing, message, ulid
from tests.fakes.messages import recount, without_errors
from tests.fakes.watched import Killed, KillSwitch, Moment
from tests.log_lines import log_lines
from tests.world import World

LATER = NOW + timedelta(hours=1)
FINISHED = mailing(
    status=MailingStatus.FINISHED,
    started_at=NOW - timedelta(hours=2),
    planned_at=NOW - timedelta(hours=2),
    finished_at=NOW - timedelta(hours=1),
    updated_at=NOW - timedelta(hours=1),
    message_shards=4,
    express=True,
)
RUNNING = replace(FINISHED, status=MailingStatus.RUNNING, finished_at=None)
KINDS = (
    (Status.SENT, None),
    (Status.FAILED, Reason.REFUSED),
    (Status.DEFERRED, Reason.RETRY),
    (Status.QUEUED, None),
    (Status.EXPIRED, None),
)


def row(of: Mailing, number: int, status: Status, reason: Reason | None = None, **facts: object) -> Message:
    shard = of.part_of(message_id(of.id, ulid(number)))
    return message(mailing_id=of.id, client_id=ulid(number), mailing_shard=shard, status=status, reason=reason, **facts)


def world(of: Mailing = FINISHED, rows: int = 20) -> World:
    """Make a world with a mailing whose counters are right."""
    made = World()
    made.mailings.create(of)
    for number in range(rows):
        status, reason = KINDS[number % len(KINDS)]
        made.messages.add(row(of, number, status, reason, attempts=number, uncertain=number % 2))
    made.messages.counts[of.id]["error.http_503"] = 7
    return made


def checked(made: World, of: Mailing = FINISHED) -> DriftReport:
    return made.check_drift()(of.id, LATER)


def repaired(made: World, of: Mailing = FINISHED) -> Repair:
    return made.repair_counters()(of.id, LATER)


def assert_right(made: World, of: Mailing = FINISHED) -> None:
    assert without_errors(made.messages.counts[of.id]) == recount(made.messages.of_mailing(of.id))
    assert made.messages.counts[of.id]["error.http_503"] == 7


class Meanwhile:
    """Lets something happen each time that rows are read, once they are."""

    def __init__(self, made: World, happens: Callable[[int], None], times: int) -> None:
        self._get_many = made.messages.get_many
        self._happens = happens
        self._left = times

    def __call__(self, ids: Collection[int]) -> Mapping[int, Message]:
        read = self._get_many(ids)
        if ids and self._left:
            self._left -= 1
            self._happens(self._left)
        return read


def meanwhile(
    made: World, monkeypatch: pytest.MonkeyPatch, happens: Callable[[int], None], *, times: int = 10**9
) -> None:
    monkeypatch.setattr(made.messages, "get_many", Meanwhile(made, happens, times))


# --- A recount


def test_counters_that_say_what_rows_do_are_right() -> None:
    report = checked(world())
    assert (report.verdict, report.detail, report.differences) == (Verdict.RIGHT, "", {})
    assert {counter.name: counter.counted for counter in report.counters}["sent"] == 4
    assert checked(world(rows=0)).verdict is Verdict.RIGHT


@pytest.mark.parametrize(
    "falsified",
    [
        {"sent": 2},
        {"sent": -2},
        {"queued": 1, "sent": -1},
        {"attempts": -5},
        {"uncertain": 1},
        {"failed": -1, "failed.refused": -1, "expired": 1},
        {"deferred.retry": 3},
        {"cancelled": 9},
    ],
)
def test_drift_of_every_kind_is_found_and_repaired(falsified: dict[str, int]) -> None:
    made = world()
    made.messages.counts[FINISHED.id].update(falsified)
    report = checked(made)
    assert (report.verdict, report.differences) == (Verdict.DRIFT, falsified)

    done = repaired(made)

    assert done.found.differences == falsified
    assert done.after is not None
    assert (done.after.verdict, done.after.repairs) == (Verdict.RIGHT, 1)
    assert_right(made)
    assert repaired(made) == Repair(done.after)


def test_errors_cannot_be_recounted_and_are_left_alone() -> None:
    made = world()
    made.messages.counts[FINISHED.id]["error.timeout"] = 1000
    assert checked(made).verdict is Verdict.RIGHT


def test_all_pages_of_all_parts_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_drift, "ROWS_PER_PAGE", 2)
    assert checked(world(rows=41)).verdict is Verdict.RIGHT


@pytest.mark.parametrize("gone", [mailing(id=ulid(9)), replace(FINISHED, status=MailingStatus.DELETED)])
def test_a_mailing_that_is_not_or_was_deleted_is_not_found(gone: Mailing) -> None:
    made = World()
    if gone.status is MailingStatus.DELETED:
        made.mailings.create(gone)
    with pytest.raises(NotFoundError):
        checked(made, gone)


def test_a_mailing_that_never_started_has_nothing_to_count() -> None:
    made = world(mailing(), rows=0)
    made.messages.counts[mailing().id].clear()
    assert checked(made, mailing()).verdict is Verdict.RIGHT


# --- What only looks like drift


def test_what_ends_while_rows_are_read_is_no_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(RUNNING)

    def end_one(_left: int) -> None:
        one = next(each for each in made.messages.of_mailing(RUNNING.id) if each.is_open)
        made.messages.record(RUNNING.id, [Outcome(one, ended(one, Status.EXPIRED, expires_at=None))])

    meanwhile(made, monkeypatch, end_one, times=2)
    assert checked(made, RUNNING).verdict is Verdict.RIGHT


def test_drift_is_not_hidden_by_what_ends_while_rows_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(of := replace(RUNNING, message_shards=1), rows=0)
    one = row(of, 1, Status.QUEUED)
    made.messages.add(one)
    made.messages.add(row(of, 2, Status.SENT))
    made.messages.counts[of.id].update({"queued": 1, "sent": -1})

    def send(_left: int) -> None:  # and the counters are as the rows were when they were read
        made.messages.record(of.id, [Outcome(one, ended(one, Status.SENT, expires_at=None))])

    meanwhile(made, monkeypatch, send, times=1)
    assert checked(made, of).differences == {"queued": 1, "sent": -1}


def test_changes_that_cancel_out_in_the_counters_are_no_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(RUNNING, rows=0)
    rows = [row(RUNNING, n, Status.QUEUED if n else Status.DEFERRED, version="v") for n in range(2)]
    for each in rows:
        made.messages.add(each)

    def swap(_left: int) -> None:
        before = [made.messages.stored[each.id] for each in rows]
        statuses = [each.status for each in before]
        for one, status in zip(before, reversed(statuses), strict=True):
            made.messages.record(RUNNING.id, [Outcome(one, replace(one, status=status))])

    # Read one by one, with a swap in between: each look sees the same status twice, and counters that never change.
    monkeypatch.setattr(check_drift, "ROWS_PER_PAGE", 1)
    monkeypatch.setattr(check_drift, "PARALLEL_READS", 1)
    meanwhile(made, monkeypatch, swap)
    assert checked(made, RUNNING).verdict is Verdict.BUSY


def test_rows_that_keep_changing_make_a_mailing_busy_and_nothing_is_repaired(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(RUNNING)
    made.messages.counts[RUNNING.id]["sent"] += 1
    first = next(each for each in made.messages.of_mailing(RUNNING.id) if each.is_open)

    def attempt(_left: int) -> None:
        before = made.messages.stored[first.id]
        made.messages.record(RUNNING.id, [Outcome(before, replace(before, attempts=before.attempts + 1))])

    meanwhile(made, monkeypatch, attempt)
    done = repaired(made, RUNNING)
    assert (done.found.verdict, done.after) == (Verdict.BUSY, None)
    assert "kept changing" in done.found.detail
    assert made.messages.repairs[RUNNING.id] == 0


def test_drift_is_found_once_the_rows_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(RUNNING)
    made.messages.counts[RUNNING.id]["sent"] -= 1
    open_rows = [each for each in made.messages.of_mailing(RUNNING.id) if each.is_open]

    def lease(left: int) -> None:
        one = open_rows[left]
        made.messages.lease([one], until=LATER, version=f"lease {left}")

    meanwhile(made, monkeypatch, lease, times=3)  # one look at four parts
    report = checked(made, RUNNING)
    assert (report.verdict, report.differences) == (Verdict.DRIFT, {"sent": -1})


@pytest.mark.parametrize("status", [MailingStatus.RUNNING, MailingStatus.PAUSED])
def test_a_mailing_that_is_being_planned_is_busy(status: MailingStatus) -> None:
    planning = replace(RUNNING, status=status, planned_at=None)
    made = world(planning)
    made.messages.counts[planning.id]["queued"] += 99
    assert checked(made, planning).verdict is Verdict.BUSY


JUST_PLANNED = (
    replace(FINISHED, planned_at=NOW - timedelta(seconds=5)),
    replace(FINISHED, planned_at=None, status=MailingStatus.CANCELLED, updated_at=NOW - timedelta(seconds=5)),
)


@pytest.mark.parametrize("of", JUST_PLANNED)
def test_rows_that_the_index_does_not_show_yet_are_waited_for(of: Mailing, monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(of)
    of_part = made.lists.of_part
    monkeypatch.setattr(
        made.lists,
        "of_part",
        lambda *page: of_part(*page) if made.clock() >= NOW + timedelta(seconds=9) else Page([]),
    )
    assert checked(made, of).verdict is Verdict.RIGHT
    assert made.clock() == NOW + timedelta(seconds=10)


@pytest.mark.parametrize("of", JUST_PLANNED)
def test_rows_that_do_not_come_to_light_are_drift(of: Mailing) -> None:
    made = world(of)
    made.messages.counts[of.id]["queued"] += 99
    assert checked(made, of).differences == {"queued": 99}
    assert made.clock() == NOW + timedelta(seconds=10)


def test_time_that_is_over_before_rows_can_come_to_light_leaves_a_mailing_unchecked() -> None:
    made = world(of := JUST_PLANNED[0])
    made.messages.counts[of.id]["queued"] += 99
    stop_at = NOW + timedelta(seconds=4)
    assert made.check_drift()(of.id, stop_at).verdict is Verdict.UNCHECKED
    assert made.clock() == stop_at


def test_drift_that_no_row_can_mend_is_said_at_once() -> None:
    made = world(of := replace(FINISHED, planned_at=NOW))
    made.messages.counts[of.id].update({"sent": -1, "failed": 1})
    assert checked(made, of).differences == {"failed": 1, "sent": -1}
    assert made.clock() < NOW + timedelta(seconds=3)


def test_rows_that_have_aged_out_are_no_drift() -> None:
    made = world(rows=0)
    made.messages.counts[FINISHED.id]["sent"] = 1000
    made.clock.now = FINISHED.rows_expire_at
    report = made.check_drift()(FINISHED.id, FINISHED.rows_expire_at + timedelta(minutes=1))
    assert report.verdict is Verdict.UNCHECKED
    assert "aged out" in report.detail


def test_a_mailing_that_starts_between_two_looks_is_looked_at_as_it_is_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    made = World()
    made.mailings.create(mailing())
    totals = made.messages.totals

    def start_first(mailing_id: str) -> object:
        if made.mailings.get(mailing_id) == mailing():
            made.mailings.replace(mailing(), replace(FINISHED, version=2))
            for number in range(20):
                made.messages.add(row(FINISHED, number, Status.SENT))
        return totals(mailing_id)

    monkeypatch.setattr(made.messages, "totals", start_first)
    assert checked(made).verdict is Verdict.RIGHT


def test_what_is_not_read_in_time_is_not_called_right() -> None:
    made = world()
    report = made.check_drift()(FINISHED.id, NOW)
    assert report.verdict is Verdict.UNCHECKED
    assert "time was over" in report.detail


# --- A repair


@pytest.mark.parametrize("moment", Moment)
def test_a_repair_that_is_killed_at_its_write_is_right_when_it_runs_again(moment: Moment) -> None:
    made = world()
    made.messages.counts[FINISHED.id].update({"sent": 3, "attempts": -2})
    made.hook = KillSwitch(1, moment)
    with pytest.raises(Killed):
        repaired(made)
    assert made.messages.repairs[FINISHED.id] == (moment is Moment.AFTER)

    made.hook = None
    repaired(made)

    assert_right(made)
    assert made.messages.repairs[FINISHED.id] == 1


def test_counters_that_drift_again_are_repaired_again() -> None:
    made = world()
    for times in (1, 2, 3):
        made.messages.counts[FINISHED.id]["sent"] += 3
        repaired(made)
        assert_right(made)
        assert made.messages.repairs[FINISHED.id] == times


def test_outcomes_that_come_between_recount_and_repair_are_kept() -> None:
    made = world(RUNNING)
    made.messages.counts[RUNNING.id].update({"sent": 3, "queued": -1})
    one = next(each for each in made.messages.of_mailing(RUNNING.id) if each.status is Status.QUEUED)

    def send(moment: Moment, _name: str) -> None:
        if moment is Moment.BEFORE:
            made.messages.record(RUNNING.id, [Outcome(one, ended(one, Status.SENT, expires_at=None))])

    made.hook = send
    done = repaired(made, RUNNING)
    assert done.after is not None
    assert done.after.verdict is Verdict.RIGHT
    assert_right(made, RUNNING)


def test_of_two_repairs_at_once_one_counts() -> None:
    made = world()
    made.messages.counts[FINISHED.id]["sent"] += 3
    inner: list[Repair] = []

    def repair_too(moment: Moment, _name: str) -> None:
        if moment is Moment.BEFORE:
            made.hook = None
            inner.append(repaired(made))

    made.hook = repair_too
    outer = repaired(made)
    assert [done.after is not None for done in inner] == [True]
    assert (outer.found.verdict, outer.after) == (Verdict.BUSY, None)
    assert_right(made)


def test_a_repair_is_logged_with_what_it_changed() -> None:
    made = world()
    made.messages.counts[FINISHED.id]["sent"] += 3
    with log_lines() as lines:
        repaired(made)
    (line,) = lines
    assert (line.message, vars(line)["mailing_id"]) == ("counters repaired", FINISHED.id)
    assert vars(line)["changes"] == {"sent": -3}


# --- The night's check


def nightly(made: World) -> Mapping[Verdict, int]:
    verdicts = made.check_changed()(made.clock() + timedelta(minutes=14))
    return {verdict: number for verdict, number in verdicts.items() if number}


def test_whatever_changed_since_yesterday_is_recounted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = World()
    long_ago = NOW - timedelta(hours=26)
    for number, (status, updated_at) in enumerate(
        [
            (MailingStatus.DRAFT, NOW),
            (MailingStatus.SCHEDULED, NOW),
            (MailingStatus.RUNNING, long_ago),
            (MailingStatus.PAUSED, long_ago),
            (MailingStatus.FINISHED, NOW - timedelta(hours=24)),
            (MailingStatus.FINISHED, long_ago),
            (MailingStatus.CANCELLED, NOW),
            (MailingStatus.CANCELLED, long_ago),
            (MailingStatus.DELETED, NOW),
        ]
    ):
        made.mailings.create(replace(FINISHED, id=ulid(number), status=status, updated_at=updated_at))
    seen: list[str] = []
    totals = made.messages.totals
    monkeypatch.setattr(made.messages, "totals", lambda id_: seen.append(id_) or totals(id_))  # type: ignore[func-returns-value]

    assert nightly(made) == {Verdict.RIGHT: 4}
    assert sorted(set(seen)) == [ulid(number) for number in (2, 3, 4, 6)]


def test_all_pages_of_mailings_are_read_until_they_have_no_rows_any_more() -> None:
    made = World()
    for number in range(250):
        made.mailings.create(replace(FINISHED, id=ulid(number), start_at=NOW - timedelta(hours=number), updated_at=NOW))
    for number in range(250, 260):
        made.mailings.create(replace(FINISHED, id=ulid(number), start_at=NOW - timedelta(days=60), updated_at=NOW))
    assert nightly(made) == {Verdict.RIGHT: 250}


def test_drift_is_logged_and_counted_and_not_repaired() -> None:
    made = world()
    made.messages.counts[FINISHED.id].update({"sent": 3, "attempts": -4})
    with log_lines() as lines:
        assert nightly(made) == {Verdict.DRIFT: 1}
    assert made.metrics == [("CounterDrift", 7)]
    drift, summary = lines
    assert (drift.levelname, drift.message) == ("ERROR", "counters drift")
    assert (vars(drift)["mailing_id"], vars(drift)["differences"]) == (FINISHED.id, {"attempts": -4, "sent": 3})
    assert (summary.message, vars(summary)["drift"], vars(summary)["right"]) == ("counters checked", 1, 0)
    assert made.messages.repairs[FINISHED.id] == 0


def test_what_could_not_be_checked_is_logged_as_such_and_is_no_drift() -> None:
    made = world(planning := replace(RUNNING, planned_at=None))
    with log_lines() as lines:
        assert nightly(made) == {Verdict.BUSY: 1}
    assert (lines[0].levelname, lines[0].message) == ("WARNING", "counters not checked")
    assert (vars(lines[0])["mailing_id"], vars(lines[0])["verdict"]) == (planning.id, "busy")
    assert made.metrics == []


def test_when_time_is_over_the_rest_is_unchecked_and_small_mailings_came_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made = World()
    large = [replace(FINISHED, id=ulid(number), express=False) for number in (1, 3)]
    small = [replace(FINISHED, id=ulid(number)) for number in (2, 4)]
    for each in (*large, *small):
        made.mailings.create(each)
    totals = made.messages.totals

    def slow(mailing_id: str) -> object:
        made.clock.advance(timedelta(minutes=3))
        return totals(mailing_id)

    monkeypatch.setattr(made.messages, "totals", slow)
    with log_lines() as lines:
        assert nightly(made) == {Verdict.RIGHT: 2, Verdict.UNCHECKED: 2}
    assert [vars(line)["mailing_id"] for line in lines[:-1]] == [ulid(1), ulid(3)]


def test_a_mailing_at_which_aws_fails_does_not_keep_the_others_from_their_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = world()
    made.mailings.create(replace(FINISHED, id=ulid(5)))
    totals = made.messages.totals

    def throttled(mailing_id: str) -> object:
        if mailing_id == ulid(5):
            raise TransientError("throttled")
        return totals(mailing_id)

    monkeypatch.setattr(made.messages, "totals", throttled)
    assert nightly(made) == {Verdict.RIGHT: 1, Verdict.UNCHECKED: 1}


def test_a_mailing_that_is_deleted_meanwhile_is_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world()
    monkeypatch.setattr(made.mailings, "get", lambda _id: None)
    assert nightly(made) == {}


def test_the_result_of_the_night_is_kept() -> None:
    made = world()
    made.messages.counts[FINISHED.id].update({"sent": 3, "attempts": -4})
    nightly(made)
    verdicts = {"right": 0, "drift": 1, "busy": 0, "unchecked": 0}
    assert made.figures.stored.drift == DriftCheck(made.clock(), 7, verdicts)


def test_a_result_that_cannot_be_kept_is_told_all_the_same() -> None:
    made = world()
    made.figures.error = TransientError("throttled")
    with log_lines() as lines:
        assert nightly(made) == {Verdict.RIGHT: 1}
    assert [line.message for line in lines] == ["counters checked", "result of the check not kept"]
