from datetime import timedelta

import pytest

from chalicelib.domain.explain import Next
from chalicelib.domain.mailing import MailingStatus
from chalicelib.errors import NotFoundError
from chalicelib.services.explain_message import ExplainMessage
from tests.builders import client, mailing, message
from tests.fakes.clients import FakeClientRepository
from tests.fakes.clock import FakeClock
from tests.fakes.mailings import FakeMailingRepository
from tests.fakes.messages import FakeMessageRepository
from tests.world import POLICY, World

ROW = message()
RUNNING = mailing(status=MailingStatus.RUNNING)


def explaining(clock: FakeClock, clients: FakeClientRepository, *mailings: FakeMailingRepository) -> ExplainMessage:
    (of_mailings,) = mailings or (FakeMailingRepository(RUNNING),)
    made = World(clock=clock, messages=FakeMessageRepository(ROW))
    return ExplainMessage(made.messages, made.bundles(), of_mailings, clients, clock, POLICY, made.shared_breaker())


def test_a_message_is_explained_by_its_mailing_and_client_as_they_are_at_this_moment() -> None:
    clock, clients = FakeClock(), FakeClientRepository(client())
    service = explaining(clock, clients)
    row, explained = service(ROW.id)
    assert (row, explained.next) == (ROW, Next.SEND)
    clock.advance(timedelta(days=1))
    assert service(ROW.id)[1].next is Next.EXPIRE
    clients.delete(client())
    assert service(ROW.id)[1].next is Next.CANCEL


def test_a_message_of_a_mailing_that_was_deleted_is_explained_too() -> None:
    deleted = FakeMailingRepository(mailing(status=MailingStatus.DELETED))
    assert explaining(FakeClock(), FakeClientRepository(client()), deleted)(ROW.id)[1].next is Next.CANCEL


def test_what_never_was_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        explaining(FakeClock(), FakeClientRepository())(ROW.id + 1)
