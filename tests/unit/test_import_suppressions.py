from collections import Counter
from datetime import timedelta

import pytest

from chalicelib.domain import bulk_import as limits
from chalicelib.domain.bulk_import import Import, ImportKind, ImportStatus, Refusal
from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import Reason, Status
from chalicelib.domain.suppression import Suppression
from chalicelib.errors import NotFoundError, TransientError
from chalicelib.services.optimistic import TRIES
from tests.builders import NOW, mailing, message
from tests.fakes.suppressions import RacedSuppressions
from tests.fakes.watched import Killed, KillSwitch, Moment
from tests.import_world import ImportWorld, csv_of, phones
from tests.world import clients

MINUTE = timedelta(minutes=1)
RUNNING = mailing(status=MailingStatus.RUNNING, planned_at=NOW)
CROWD = clients(30)
STRANGERS = phones(30, first=9_000_000)
ROWS = [each.phone for each in CROWD] + ["7916"] + STRANGERS + [CROWD[0].phone]
FILE = csv_of(ROWS, header="phone")


@pytest.fixture
def world() -> ImportWorld:
    return with_messages(ImportWorld())


def with_messages(made: ImportWorld) -> ImportWorld:
    """Have each client wait for a message of a mailing that runs."""
    made.delivery.add_clients(CROWD)
    made.delivery.mailings.create(RUNNING)
    for number, one in enumerate(CROWD, 1):
        made.delivery.messages.add(message(id=number, client_id=one.id))
    return made


def imported(world: ImportWorld, content: str) -> Import:
    return world.imported(content, ImportKind.SUPPRESSIONS)


def ends(world: ImportWorld) -> Counter[tuple[Status, Reason | None]]:
    return Counter((row.status, row.reason) for row in world.delivery.messages.stored.values())


def test_phones_are_suppressed_and_open_messages_of_their_clients_cancelled(world: ImportWorld) -> None:
    done = imported(world, FILE)
    assert (done.status, done.failure) == (ImportStatus.FINISHED, None)
    assert world.audit(done) == Counter(created=60, refused=1, unchanged=1)
    assert {*world.clients.suppressed} == {*ROWS} - {"7916"}
    assert all(client.suppressed for client in world.clients.stored.values())
    assert ends(world) == {(Status.CANCELLED, Reason.SUPPRESSED): 30}
    assert world.delivery.mailings.stored[RUNNING.id].status is MailingStatus.FINISHED
    world.delivery.check(RUNNING)


def test_what_is_suppressed_stays_and_what_is_open_is_cancelled_again(world: ImportWorld) -> None:
    one, other = CROWD[:2]
    world.suppressions.add(Suppression(one.phone, NOW))
    known = world.clients.get(one.id)
    world.clock.advance(MINUTE)
    done = imported(world, csv_of([one.phone, other.phone], header="phone"))
    assert world.audit(done) == Counter(created=1, unchanged=1)
    assert world.clients.get(one.id) == known
    assert world.suppressions.get(one.phone) == Suppression(one.phone, NOW)
    assert world.suppressions.get(other.phone) == Suppression(other.phone, NOW + MINUTE)
    assert ends(world)[Status.CANCELLED, Reason.SUPPRESSED] == 2


@pytest.mark.parametrize("moment", Moment)
def test_wherever_it_is_killed_each_phone_is_counted_once_and_each_message_cancelled(
    moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BATCH_ROWS", 25)
    whole = with_messages(ImportWorld(hook=(counting := KillSwitch())))
    expected = whole.audit(imported(whole, FILE))
    assert counting.calls > 50
    for number in range(1, counting.calls + 1):
        world = with_messages(ImportWorld())
        one = world.uploaded(FILE, ImportKind.SUPPRESSIONS)
        world.hook = KillSwitch(number, moment)
        with pytest.raises(Killed):
            world.run(one)
        world.hook = None
        assert world.run(one).status is ImportStatus.FINISHED
        assert world.audit(one) == expected
        assert ends(world) == {(Status.CANCELLED, Reason.SUPPRESSED): 30}


@pytest.mark.parametrize(
    ("header", "failure"),
    [
        ("name", "the header's column 1 is 'name'; there may be phone"),
        ("phone;timezone", "the header's column 2 is 'timezone'; there may be phone"),
        (STRANGERS[0], "the header's column 1 is no name; there may be phone"),
    ],
)
def test_a_file_with_other_columns_is_refused_and_they_are_named(world: ImportWorld, header: str, failure: str) -> None:
    done = imported(world, csv_of(STRANGERS, header=header))
    assert (done.status, done.failure) == (ImportStatus.FAILED, failure)
    assert world.clients.suppressed == {}


def test_what_is_no_phone_is_refused_and_never_shown(world: ImportWorld) -> None:
    done = imported(
        world, csv_of(["", '""', "+7 916 123-45-67", f"{STRANGERS[0]},x", STRANGERS[0]], header="\ufeffPhone")
    )
    pattern = "String should match pattern '^7[0-9]{10}$'"
    assert world.refusals(done) == [
        Refusal(3, "phone", pattern),
        Refusal(4, "phone", pattern),
        Refusal(5, "row", "has 2 cells, where the header has 1"),
    ]
    assert {*world.clients.suppressed} == {STRANGERS[0]}


def test_phones_are_suppressed_although_others_change_their_clients(world: ImportWorld) -> None:
    world.suppressions = RacedSuppressions(world.clients, races=TRIES - 1)
    assert world.audit(imported(world, FILE))["created"] == 60
    assert ends(world) == {(Status.CANCELLED, Reason.SUPPRESSED): 30}


def test_who_is_never_fast_enough_has_the_ticket_come_again(world: ImportWorld) -> None:
    world.suppressions = RacedSuppressions(world.clients, races=1000)
    with pytest.raises(TransientError, match="kept changing"):
        imported(world, FILE)
    assert world.clients.suppressed == {}


def test_a_client_from_a_file_is_suppressed_if_its_phone_is(world: ImportWorld) -> None:
    imported(world, FILE)
    done = world.imported(csv_of([f"{STRANGERS[0]},Asia/Omsk,", f"{CROWD[0].phone},Asia/Omsk,"]))
    assert world.audit(done) == Counter(created=1, changed=1)
    assert all(client.suppressed for client in world.clients.stored.values())


@pytest.mark.parametrize("kind", ImportKind)
def test_an_import_is_of_its_kind(world: ImportWorld, kind: ImportKind) -> None:
    one = world.uploaded(FILE, kind)
    assert world.manage().get(kind, one.id)[0] == one
    (other,) = set(ImportKind) - {kind}
    with pytest.raises(NotFoundError):
        world.manage().get(other, one.id)
