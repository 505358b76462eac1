import logging
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.segment import SegmentKind
from chalicelib.errors import StaleError, TransientError
from chalicelib.services.order_sweep import SECOND_LOOK
from tests.builders import NOW, mailing
from tests.fakes.watched import Killed, KillSwitch, Moment
from tests.log_lines import log_lines
from tests.world import World

GRACE = timedelta(minutes=7)
RUNNING = mailing(status=MailingStatus.RUNNING, message_shards=64, segments=2, planned_at=NOW, version=6)
PAUSED = replace(RUNNING, status=MailingStatus.PAUSED, version=7)
ORDERED = replace(PAUSED, sweep=7)
FOLLOW, RETRY = SegmentKind.FOLLOW, SegmentKind.RETRY


def world(of: Mailing = RUNNING) -> World:
    made = World()
    made.mailings.create(of)
    return made


def test_the_change_and_its_sweep_are_stored() -> None:
    made = world()
    assert made.order_sweep()(RUNNING, PAUSED, FOLLOW) == ORDERED
    assert made.mailings.get(RUNNING.id) == ORDERED
    segments = made.segments.of_mailing(RUNNING.id)
    assert {segment.kind for segment in segments} == {FOLLOW}
    assert {segment.sweep for segment in segments} == {7}
    assert {segment.expires_at for segment in segments} == {RUNNING.rows_expire_at}


def test_each_look_reads_each_part_once_the_second_a_little_later() -> None:
    made = world()
    made.order_sweep()(RUNNING, PAUSED, FOLLOW)
    for look, delay in ((1, timedelta()), (2, SECOND_LOOK)):
        names = [f"follow#000007#{look}#{index:02d}" for index in range(8)]
        queued = [one for one in made.tickets.queued_segments if one.ticket.segment in names]
        assert [one.ticket.segment for one in queued] == names
        assert {one.delay for one in queued} == {delay}
        segments = [made.segments.stored[RUNNING.id, name] for name in names]
        assert sorted(part for one in segments for part in one.parts) == sorted(RUNNING.message_parts)
        assert {one.due_at for one in segments} == {NOW + delay + GRACE}
    assert len(made.tickets.segments) == len(made.segments.stored) == 16


def test_a_small_mailing_has_no_more_segments_than_parts() -> None:
    small = replace(RUNNING, message_shards=4)
    made = world(small)
    made.order_sweep()(small, replace(PAUSED, message_shards=4), FOLLOW)
    assert len(made.segments.stored) == 2 * 4


def test_failed_rows_are_looked_at_once_and_other_sweeps_are_still_wanted() -> None:
    made = world(replace(RUNNING, sweep=5))
    retried = replace(RUNNING, sweep=5, planned_at=None, version=7)
    assert made.order_sweep()(RUNNING, retried, RETRY).sweep == 5
    assert made.tickets.segments[0].segment == "retry#000007#1#00"
    assert len(made.tickets.segments) == len(made.segments.stored) == 8
    assert {one.delay for one in made.tickets.queued_segments} == {timedelta()}


def test_of_a_mailing_that_has_changed_meanwhile_nothing_is_stored() -> None:
    made = world(replace(RUNNING, version=7))
    with pytest.raises(StaleError):
        made.order_sweep()(RUNNING, PAUSED, FOLLOW)
    assert made.mailings.get(RUNNING.id) == replace(RUNNING, version=7)
    assert made.segments.stored == {}
    assert made.tickets.segments == []


def refusing_tickets(moment: Moment, name: str) -> None:
    if (moment, name) == (Moment.BEFORE, "send_segments"):
        raise TransientError("the queue does not answer")


def after_all_graces(made: World) -> set[str]:
    """Let the dispatcher come when everything is due; returns the segments that have tickets."""
    made.hook = None
    made.clock.advance(SECOND_LOOK + GRACE)
    made.dispatch()
    return {ticket.segment for ticket in made.tickets.segments}


def test_the_change_counts_although_no_ticket_can_be_queued() -> None:
    made = world()
    made.hook = refusing_tickets
    with log_lines(logging.WARNING) as lines:
        assert made.order_sweep()(RUNNING, PAUSED, FOLLOW) == ORDERED
    (line,) = lines
    assert (line.message, vars(line)["mailing_id"]) == ("sweep not queued; due_at brings it", RUNNING.id)
    assert made.tickets.segments == []
    assert after_all_graces(made) == {name for _, name in made.segments.stored}


@pytest.mark.parametrize("moment", Moment)
def test_killed_at_any_write_the_sweep_is_ordered_with_the_change_or_not_at_all(moment: Moment) -> None:
    for n in count(1):
        made = world(replace(RUNNING, planned_at=None))
        made.hook = hook = KillSwitch(n, moment)
        try:
            made.order_sweep()(replace(RUNNING, planned_at=None), PAUSED, FOLLOW)
        except Killed:
            changed = made.mailings.stored[RUNNING.id].status is MailingStatus.PAUSED
            assert changed == ((n, moment) != (1, Moment.BEFORE))
            assert len(made.segments.stored) == (16 if changed else 0)
            assert after_all_graces(made) == {name for _, name in made.segments.stored}
        else:
            break
    assert hook.calls == n - 1 == 3  # the change, and the tickets of each look
