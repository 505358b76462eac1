from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.breaker import Cause, opened
from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import Message, Reason, Status
from chalicelib.domain.suppression import PARTS, Suppression, part_of
from chalicelib.errors import NotFoundError, StaleError, TransientError
from chalicelib.services.optimistic import TRIES
from tests.builders import NOW, client, mailing, message, ulid
from tests.fakes.suppressions import RacedSuppressions
from tests.fakes.watched import Moment, failing
from tests.world import BREAKER_POLICY, World, clients

RUNNING = mailing(status=MailingStatus.RUNNING, planned_at=NOW)
ONE, TWO, THREE = clients(3)
SUPPRESSED = (Status.CANCELLED, Reason.SUPPRESSED)
QUEUED = (Status.QUEUED, None)


def world(*rows: Message) -> World:
    made = World()
    made.add_clients([ONE, TWO, THREE])
    made.mailings.create(RUNNING)
    for row in rows:
        made.messages.add(row)
    return made


def row(number: int, client_id: str = ONE.id, **changes: object) -> Message:
    return message(id=number, client_id=client_id, **changes)


def ends(made: World) -> list[tuple[Status, Reason | None]]:
    return [
        (made.messages.stored[id_].status, made.messages.stored[id_].reason) for id_ in sorted(made.messages.stored)
    ]


def test_open_messages_of_who_opts_out_are_cancelled_while_the_provider_is_down() -> None:
    sent = row(3, status=Status.SENT, due_at=None, lease_until=None)
    made = world(row(1), row(2, TWO.id), sent)
    made.control_items.stored = opened(made.control_items.stored, Cause.OUTAGE, NOW, BREAKER_POLICY)

    assert made.suppress().one(ONE.phone) == Suppression(ONE.phone, NOW)

    assert ends(made) == [SUPPRESSED, QUEUED, (Status.SENT, None)]
    assert made.messages.totals(RUNNING.id).counts["cancelled.suppressed"] == 1


def test_a_mailing_is_finished_by_the_suppression_of_its_last_open_message() -> None:
    made = world(row(1))
    made.suppress().one(ONE.phone)
    assert made.mailings.stored[RUNNING.id].status is MailingStatus.FINISHED


def test_to_suppress_again_changes_nothing_and_cancels_what_was_left() -> None:
    made = world()
    made.suppress().one(ONE.phone)
    made.messages.add(row(1))
    made.clock.advance(timedelta(minutes=1))
    known = made.clients.get(ONE.id)

    assert made.suppress().one(ONE.phone) == Suppression(ONE.phone, NOW)

    assert made.clients.get(ONE.id) == known
    assert ends(made) == [SUPPRESSED]


def test_a_phone_is_suppressed_before_anybody_has_it() -> None:
    made = world()
    made.suppress().one("79990000000")
    late = made.clients.create(client(id=ulid(9), phone="79990000000"))
    assert late.suppressed


@pytest.mark.parametrize("express", [False, True])
def test_who_opted_out_is_never_planned(express: bool) -> None:  # noqa: FBT001 - a case
    made = world()
    made.express_max_clients = 10 if express else -1
    made.suppress().one(TWO.phone)
    started = mailing(id=ulid(50))
    made.mailings.create(started)
    made.start(started.id)
    made.plan_waiting()
    assert [row.client_id for row in made.rows(started)] == [ONE.id, THREE.id]


def test_who_opts_out_after_planning_gets_no_request() -> None:
    made = world(row(1), row(2, TWO.id))
    made.hook = failing(TransientError("throttled"))  # so nothing but the sender is left to cancel it
    made.suppress().one(ONE.phone)
    made.hook = None
    assert ends(made) == [QUEUED, QUEUED]

    made.tickets.send_messages(RUNNING, [([1, 2], timedelta())])
    made.send_waiting()

    assert ends(made) == [SUPPRESSED, (Status.SENT, None)]
    assert [request.phone for request in made.provider.requests] == [TWO.phone]
    made.check(RUNNING)


@pytest.mark.parametrize("moment", Moment)
def test_a_phone_is_suppressed_although_its_messages_cannot_be_written(moment: Moment) -> None:
    made = world(row(1))
    made.hook = failing(TransientError("throttled"), moment=moment)
    made.suppress().one(ONE.phone)
    known = made.clients.get(ONE.id)
    assert known
    assert known.suppressed


def test_a_client_who_takes_a_suppressed_phone_gets_nothing_any_more() -> None:
    made = world(row(1))
    made.suppress().one("79990000000")
    changed = made.manage_clients().update(ONE.id, lambda before: replace(before, phone="79990000000"))
    assert changed.suppressed
    assert ends(made) == [SUPPRESSED]


def test_a_client_who_gives_a_suppressed_phone_up_gets_messages_again() -> None:
    made = world()
    made.suppress().one(ONE.phone)
    made.messages.add(row(1))
    changed = made.manage_clients().update(ONE.id, lambda before: replace(before, phone="79990000000"))
    assert not changed.suppressed
    assert ends(made) == [QUEUED]


def test_lifting_brings_nothing_back() -> None:
    made = world(row(1), row(2, TWO.id))
    made.suppress().one(ONE.phone)
    made.suppress().lift(ONE.phone)
    assert made.clients.get(ONE.id) == replace(ONE, version=3)
    assert ends(made) == [SUPPRESSED, QUEUED]
    later = mailing(id=ulid(50))
    made.mailings.create(later)
    made.start(later.id)
    made.plan_waiting()
    assert len(made.rows(later)) == 3


def test_what_is_not_suppressed_is_not_found() -> None:
    suppress = world().suppress()
    with pytest.raises(NotFoundError):
        suppress.get(ONE.phone)
    with pytest.raises(NotFoundError):
        suppress.lift(ONE.phone)
    suppress.one(ONE.phone)
    assert suppress.get(ONE.phone) == Suppression(ONE.phone, NOW)
    suppress.lift(ONE.phone)
    with pytest.raises(NotFoundError):
        suppress.lift(ONE.phone)


def test_a_phone_is_suppressed_although_others_change_its_client() -> None:
    made = world()
    made.suppressions = RacedSuppressions(made.clients, TRIES - 1)
    made.suppress().one(ONE.phone)
    assert made.clients.suppressed


def test_who_is_never_fast_enough_is_told_so() -> None:
    made = world()
    made.suppressions = RacedSuppressions(made.clients, TRIES)
    with pytest.raises(StaleError):
        made.suppress().one(ONE.phone)
    assert made.clients.suppressed == {}


def test_suppressions_are_spread() -> None:
    assert {part_of(f"7916{n:07d}") for n in range(1000)} == {f"{n:02d}" for n in range(PARTS)}


def test_a_message_in_a_senders_hands_is_left_to_it() -> None:
    made = world(row(1, lease_until=NOW + timedelta(seconds=30), leases=1))
    made.suppress().one(ONE.phone)
    assert ends(made) == [QUEUED]
    assert made.mailings.stored[RUNNING.id].status is MailingStatus.RUNNING
