from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from chalicelib.domain.audience import AudienceFilter, parts_to_read
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.tickets import SegmentTicket
from chalicelib.errors import TransientError
from chalicelib.services.plan_mailing import PAGE
from tests.builders import NOW, mailing
from tests.fakes.watched import Killed, KillSwitch, Moment
from tests.world import World, clients, clients_of_one_shard

SCHEDULED = mailing()
MS = timedelta(milliseconds=1)


def world(number: int = 3, of: Mailing = SCHEDULED, **options: int) -> World:
    made = World(**options)  # type: ignore[arg-type]
    made.add_clients(clients(number))
    made.mailings.create(of)
    made.scheduler.put(of)
    return made


def opened(made: World) -> Mailing:
    found = made.mailings.get(SCHEDULED.id)
    assert found is not None
    return found


def test_a_mailing_whose_time_has_come_is_opened_with_its_segments() -> None:
    made = world(express_max_clients=2)
    made.start(SCHEDULED.id)
    assert opened(made) == replace(
        SCHEDULED,
        status=MailingStatus.RUNNING,
        started_at=NOW,
        updated_at=NOW,
        segments=3,
        message_shards=64,
        express=False,
        version=2,
    )
    segments = made.segments.of_mailing(SCHEDULED.id)
    assert [segment.segment for segment in segments] == ["plan#00", "plan#01", "plan#02"]
    assert sorted(part for segment in segments for part in segment.parts) == sorted(parts_to_read(SCHEDULED.filter))
    assert {segment.due_at for segment in segments} == {NOW + timedelta(minutes=7)}
    assert {segment.expires_at for segment in segments} == {SCHEDULED.rows_expire_at}


def test_each_segment_has_a_ticket_and_the_schedule_is_gone() -> None:
    made = world(express_max_clients=0)
    made.start(SCHEDULED.id)
    assert made.tickets.segments == [
        SegmentTicket(v=1, mailing_id=SCHEDULED.id, segment=f"plan#{number:02d}") for number in range(3)
    ]
    assert made.scheduler.scheduled == {}


@pytest.mark.parametrize(("number", "express"), [(0, True), (5, True), (6, False)])
def test_a_small_mailing_goes_by_the_express_queue_in_one_segment(number: int, express: bool) -> None:  # noqa: FBT001
    made = world(number, express_max_clients=5)
    made.start(SCHEDULED.id)
    assert opened(made).express == express
    assert len(made.segments.of_mailing(SCHEDULED.id)) == opened(made).segments == (1 if express else 3)
    assert opened(made).message_shards == (4 if express else 64)


def test_only_those_whom_the_filter_means_make_a_mailing_large() -> None:
    of = replace(SCHEDULED, filter=AudienceFilter(("916",), ("vip",)))
    made = world(5, of, express_max_clients=2)
    made.add_clients(clients(2, first=10, tag="vip"))
    made.start(of.id)
    assert opened(made).express


def test_whether_a_mailing_is_small_is_seen_beyond_one_page() -> None:
    of = replace(SCHEDULED, filter=AudienceFilter(tags=("vip",)))
    made = world(0, of, express_max_clients=PAGE)
    made.add_clients(clients_of_one_shard(PAGE + 1, tag="vip"))
    made.start(of.id)
    assert not opened(made).express


def test_called_early_it_is_armed_again_and_stays_as_it_is() -> None:
    of = replace(SCHEDULED, start_at=NOW + MS)
    made = world(of=of)
    made.scheduler.remove(of.id)
    made.start(of.id)
    assert opened(made) == of
    assert made.scheduler.scheduled == {of.id: of.start_at}
    assert made.tickets.segments == []


@pytest.mark.parametrize("status", sorted(set(MailingStatus) - {MailingStatus.SCHEDULED}))
def test_a_mailing_that_is_not_scheduled_is_not_opened(status: MailingStatus) -> None:
    of = replace(SCHEDULED, status=status)
    made = world(of=of)
    made.start(of.id)
    assert opened(made) == of
    assert made.tickets.segments == []
    assert made.segments.stored == {}


def test_a_mailing_that_does_not_exist_is_not_opened() -> None:
    made = world()
    made.start("none")
    assert made.tickets.segments == []


def test_called_twice_it_opens_once() -> None:
    made = world()
    made.start(SCHEDULED.id)
    first = opened(made)
    made.clock.advance(timedelta(seconds=1))
    made.start(SCHEDULED.id)
    assert opened(made) == first
    assert len(made.tickets.segments) == first.segments


def test_a_mailing_that_is_changed_meanwhile_is_left_to_whoever_changed_it() -> None:
    made = world()
    moved = replace(SCHEDULED, start_at=NOW + timedelta(days=1), version=2)

    def change(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.BEFORE, "change_mailing"):
            made.mailings.stored[SCHEDULED.id] = moved

    made.hook = change
    made.start(SCHEDULED.id)
    assert opened(made) == moved
    assert made.segments.stored == {}
    assert made.tickets.segments == []


def test_tickets_that_cannot_be_queued_are_an_error_and_the_segments_come_due() -> None:
    made = world()

    def fail_queue(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.BEFORE, "send_segments"):
            raise TransientError("no queue")

    made.hook = fail_queue
    with pytest.raises(TransientError):
        made.start(SCHEDULED.id)
    assert opened(made).status is MailingStatus.RUNNING
    assert len(made.segments.due(NOW + timedelta(minutes=7), 100)) == opened(made).segments


@pytest.mark.parametrize("moment", Moment)
def test_killed_at_any_write_the_mailing_is_opened_once_and_all_is_planned(moment: Moment) -> None:
    for n in count(1):
        made = world()
        made.hook = KillSwitch(n, moment)
        try:
            made.start(SCHEDULED.id)
        except Killed:
            made.hook = None
        else:
            break
        made.clock.advance(timedelta(minutes=8))
        made.dispatch()
        for mailing_id in made.scheduler.started:
            made.start(mailing_id)
        made.plan_waiting()
        assert opened(made).version == 2 + 1  # opened, planned
        assert len(made.rows(SCHEDULED)) == 3
        made.check(SCHEDULED)
    assert n == 3  # the transaction, the tickets; then there is no third


def test_a_small_mailing_is_planned_at_once() -> None:
    made = world(5, express_max_clients=5)
    made.start(SCHEDULED.id)
    assert made.tickets.queued_segments == []
    assert [queued.express for queued in made.tickets.messages] == [True]
    assert set(made.tickets.ids()) == {row.id for row in made.rows(SCHEDULED)}
    assert len(made.rows(SCHEDULED)) == 5
    assert opened(made).planned_at == NOW
    made.check(SCHEDULED)


def test_members_beyond_a_page_are_counted_and_planned() -> None:
    for express_max_clients, express in ((PAGE + 5, True), (PAGE + 4, False)):
        made = World(express_max_clients=express_max_clients)
        made.add_clients(clients_of_one_shard(PAGE + 5))
        made.mailings.create(SCHEDULED)
        made.start(SCHEDULED.id)
        assert opened(made).express == express
        assert len(made.rows(SCHEDULED)) == (PAGE + 5 if express else 0)


@pytest.mark.parametrize("moment", Moment)
def test_a_planner_killed_at_any_write_of_a_small_mailing_loses_nobody(moment: Moment) -> None:
    for n in count(1):
        made = world(5, express_max_clients=5)
        made.hook = KillSwitch(n, moment)
        try:
            made.start(SCHEDULED.id)
        except Killed:
            made.hook = None
        else:
            break
        made.clock.advance(timedelta(minutes=2))
        made.dispatch()
        for started in made.scheduler.started:
            made.start(started)
        made.plan_waiting()
        made.send_waiting()
        assert opened(made).status is MailingStatus.FINISHED
        assert len({request.id for request in made.provider.requests}) == len(made.provider.requests) == 5
        made.check(SCHEDULED)
    assert n > 4
