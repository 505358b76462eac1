from datetime import timedelta

import pytest

from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailing import Mailing, MailingStatus, OnUncertain
from chalicelib.domain.message import Message, Status
from chalicelib.errors import ConflictError, NotFoundError, TransientError, ValidationError
from chalicelib.services.read_statistics import ReadStatistics
from tests.builders import NOW, mailing, ulid
from tests.fakes.provider import BUSY, FakeProvider
from tests.fakes.watched import Killed, KillSwitch, Moment, failing
from tests.world import QUEUED_GRACE, World, clients

ONE, TWO = clients(2)
DRAFT = mailing(
    id=ulid(50), status=MailingStatus.DRAFT, text="How does it look?", window=LocalWindow.parse("22:00", "23:00")
)
SHOWN = [status for status in MailingStatus if status is not MailingStatus.DELETED]


def world(of: Mailing = DRAFT) -> World:
    made = World()
    made.add_clients([ONE, TWO])
    made.mailings.create(of)
    return made


def made_for(made: World, message: Message) -> Mailing:
    return made.mailings.stored[message.mailing_id]


def all_tests(made: World) -> list[Mailing]:
    return [one for one in made.mailings.stored.values() if one.test_of]


@pytest.mark.parametrize("status", SHOWN)
def test_a_mailing_is_tested_in_any_state_outside_its_window(status: MailingStatus) -> None:
    of = mailing(id=ulid(50), status=status, text=DRAFT.text, window=DRAFT.window, on_uncertain=OnUncertain.HOLD)
    made = world(of)

    message = made.send_test()(of.id, ONE.id)
    assert (message.status, message.client_id, message.due_at) == (Status.QUEUED, ONE.id, NOW + QUEUED_GRACE)
    made.send_waiting()

    assert [(request.phone, request.text) for request in made.provider.requests] == [(ONE.phone, of.text)]
    assert made.messages.stored[message.id].status is Status.SENT
    test = made_for(made, message)
    assert (test.test_of, test.status, test.on_uncertain) == (of.id, MailingStatus.FINISHED, OnUncertain.HOLD)
    assert test.end_at == NOW + timedelta(hours=1)
    assert made.mailings.stored[of.id] == of
    made.check(test)


def test_a_test_goes_by_the_express_queue() -> None:
    made = world()
    made.send_test()(DRAFT.id, ONE.id)
    assert [queued.express for queued in made.tickets.messages] == [True]


def test_a_test_is_in_no_list_and_no_total() -> None:
    made = world()
    message = made.send_test()(DRAFT.id, ONE.id)
    made.send_waiting()
    assert [one.id for one in made.manage().page(None, None, 10).items] == [DRAFT.id]
    assert made.manage().page(MailingStatus.FINISHED, None, 10).items == []
    overview = ReadStatistics(made.mailings, made.messages, made.segments).overview(None, 10)
    assert overview.totals.total == 0
    assert [one.id for one, _ in overview.mailings.items] == [DRAFT.id]
    assert made.manage().get(message.mailing_id).test_of == DRAFT.id


def test_a_test_may_be_repeated() -> None:
    made = world()
    first, second = (made.send_test()(DRAFT.id, ONE.id) for _ in range(2))
    made.send_waiting()
    assert len({first.id, second.id}) == len(made.provider.requests) == 2


def test_who_opted_out_gets_no_test() -> None:
    made = world()
    made.suppress().one(ONE.phone)
    with pytest.raises(ConflictError, match="suppressed"):
        made.send_test()(DRAFT.id, ONE.id)
    assert all_tests(made) == []


def test_who_opts_out_meanwhile_gets_no_test() -> None:
    made = world()
    message = made.send_test()(DRAFT.id, ONE.id)
    made.suppress().one(ONE.phone)
    made.send_waiting()
    assert made.provider.requests == []
    assert made.messages.stored[message.id].status is Status.CANCELLED
    assert made_for(made, message).status is MailingStatus.FINISHED


def test_what_is_not_there_cannot_be_tested() -> None:
    made = world(mailing(id=ulid(50), status=MailingStatus.DELETED))
    for id_ in (DRAFT.id, ulid(999)):
        with pytest.raises(NotFoundError):
            made.send_test()(id_, ONE.id)


def test_a_client_who_is_not_there_is_named() -> None:
    made = world()
    with pytest.raises(ValidationError) as caught:
        made.send_test()(DRAFT.id, ulid(999))
    assert [error.field for error in caught.value.errors] == ["client_id"]
    assert all_tests(made) == []


def test_a_test_whose_ticket_is_lost_is_sent_by_and_by_and_once() -> None:
    made = world()
    fails = failing(TransientError("no queue"))
    made.hook = lambda moment, name: fails(moment, name) if name == "send_messages" else None
    message = made.send_test()(DRAFT.id, ONE.id)
    made.hook = None
    assert made.tickets.backlog() == 0
    dispatch_until_sent(made)
    assert made.messages.stored[message.id].status is Status.SENT
    assert len(made.provider.requests) == 1


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("n", [1, 2])
def test_killed_anywhere_a_test_is_sent_once_or_not_at_all_and_nothing_is_left(n: int, moment: Moment) -> None:
    made = world()
    made.hook = KillSwitch(n, moment)
    with pytest.raises(Killed):
        made.send_test()(DRAFT.id, ONE.id)
    made.hook = None
    dispatch_until_sent(made)
    begun = (n, moment) != (1, Moment.BEFORE)
    assert len(made.provider.requests) == begun
    assert [one.status for one in all_tests(made)] == [MailingStatus.FINISHED] * begun
    assert [row.status for row in made.messages.stored.values()] == [Status.SENT] * begun


def dispatch_until_sent(made: World) -> None:
    for _ in range(3):
        made.clock.advance(timedelta(minutes=8))
        made.dispatch()
        made.send_waiting()


def test_a_test_is_given_up_after_an_hour() -> None:
    made = world()
    made.provider = FakeProvider(lambda _: BUSY)
    message = made.send_test()(DRAFT.id, ONE.id)
    for _ in range(40):
        made.send_waiting()
        made.clock.advance(timedelta(minutes=2))
        made.dispatch()
    assert made.messages.stored[message.id].status is Status.EXPIRED
    assert made_for(made, message).status is MailingStatus.FINISHED


def test_a_test_can_be_called_off() -> None:
    made = world()
    made.provider = FakeProvider(lambda _: BUSY)
    message = made.send_test()(DRAFT.id, ONE.id)
    made.send_waiting()
    made.control().cancel(message.mailing_id)
    made.plan_waiting()
    assert made.messages.stored[message.id].status is Status.CANCELLED


def test_a_test_that_was_asked_for_again_under_its_id_is_sent_once() -> None:
    made = world()
    first = made.send_test()(DRAFT.id, ONE.id, ulid(70))
    assert made.send_test()(DRAFT.id, ONE.id, ulid(70)) == first
    made.send_waiting()
    again = made.send_test()(DRAFT.id, ONE.id, ulid(70))
    made.send_waiting()
    assert (again.id, again.status) == (first.id, Status.SENT)
    assert len(made.provider.requests) == 1
    assert [one.id for one in all_tests(made)] == [ulid(70)]
