from datetime import timedelta

import pytest

from chalicelib.admin.roles import Role
from chalicelib.bootstrap import Application, utc_now
from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.tickets import MessagesTicket
from chalicelib.errors import TransientError
from chalicelib.services.cached_mailings import CachedMailings
from chalicelib.services.list_dead_letters import ListDeadLetters
from chalicelib.services.redrive_dead_letters import RedriveDeadLetters
from tests.builders import ulid
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.watched import failing, watched
from tests.gateway import Gateway
from tests.visitor import inputs, visiting

MAILING = ulid(100)
XSS = "<script>alert(1)</script>"


@pytest.fixture
def dead(built: Application) -> FakeDeadLetters:
    letters = FakeDeadLetters(utc_now)
    use(built, letters)
    return letters


def use(built: Application, letters: FakeDeadLetters) -> None:
    mailings = CachedMailings(built.mailings, utc_now)
    built.__dict__.update(
        list_dead_letters=ListDeadLetters(letters, utc_now),
        redrive_dead_letters=RedriveDeadLetters(letters, mailings, built.tickets, built.scheduler, utc_now),
    )


def test_dead_letters_are_shown_with_cause_ids_and_age_and_without_bodies(
    api: Gateway, built: Application, dead: FakeDeadLetters
) -> None:
    ticket = MessagesTicket(v=1, mailing_id=MAILING, message_ids=[77]).model_dump_json()
    good = dead.add(DeadQueue.SEND, ticket, sent_at=utc_now() - timedelta(hours=3))
    bad = dead.add(DeadQueue.PLAN, "79161234567 secret", f"unreadable {XSS}")
    shown = visiting(api, built).look("dead-letters")
    assert shown.status == 200
    assert f'href="./mailings/{MAILING}"' in shown.text
    assert 'href="./messages/77"' in shown.text
    assert "3 hours" in shown.text
    assert "3 часа" in visiting(api, built, Role.ADMIN, language="ru").look("dead-letters").text
    assert f"dead-letters/redrive?queue=plan&amp;id={bad}" in shown.text
    assert "unreadable &lt;script&gt;" in shown.text
    assert "79161234567" not in shown.text
    assert XSS not in shown.text
    one_queue = visiting(api, built).look("dead-letters?queue=plan&limit=1").text
    assert (good in one_queue, bad in one_queue) == (False, True)
    assert "there may be more" in one_queue
    assert "Redrive all of Plan" in one_queue


def test_no_dead_letters_say_that_all_is_well(api: Gateway, built: Application, dead: FakeDeadLetters) -> None:  # noqa: ARG001 - the queues
    assert "no ticket has failed" in visiting(api, built).look("dead-letters?queue=").text
    assert "See all queues" in visiting(api, built).look("dead-letters?queue=send").text


@pytest.mark.parametrize(
    ("query", "fields", "left"),
    [
        ("", {}, 0),
        ("?queue=plan", {"queue": "plan"}, 1),
        ("?queue=plan&id=letter-0001", {"queue": "plan", "id": "letter-0001"}, 2),
        ("?id=letter-0001", {"id": "letter-0001"}, 2),
    ],
)
def test_redrive_names_its_effect_and_then_has_it(
    api: Gateway, built: Application, dead: FakeDeadLetters, query: str, fields: dict[str, str], left: int
) -> None:
    for queue in (DeadQueue.PLAN, DeadQueue.PLAN, DeadQueue.SEND):
        dead.add(queue, "garbage")
    headers = visiting(api, built)
    asked = headers.look(f"dead-letters/redrive{query}")
    assert asked.status == 200
    assert "back to where" in asked.text
    form = inputs(asked, "redrive")
    assert {name: value for name, value in form.items() if name != "csrf"} == fields
    assert dead.put_backs == []
    done = headers.post("dead-letters/redrive", form)
    assert done.status == 200
    assert f"{3 - left} ticket" in done.text
    assert len(dead.letters) == left


def test_what_is_left_is_told_with_the_reason(api: Gateway, built: Application, dead: FakeDeadLetters) -> None:  # noqa: ARG001 - the queues
    headers = visiting(api, built)
    asked = headers.look("dead-letters/redrive?id=%3Cq%3E")
    assert "<q>" not in asked.text
    assert inputs(asked, "redrive")["id"] == "<q>"
    done = headers.post("dead-letters/redrive", inputs(asked, "redrive"))
    assert "not there any more" in done.text
    assert "0 tickets are" in done.text


def test_wrong_queues_and_ids_are_refused(api: Gateway, built: Application, dead: FakeDeadLetters) -> None:
    dead.add(DeadQueue.SEND, "garbage")
    headers = visiting(api, built)
    assert headers.look("dead-letters?queue=x").status == 422
    assert headers.look("dead-letters/redrive?queue=x").status == 422
    form = inputs(headers.look("dead-letters/redrive"), "redrive")
    assert headers.post("dead-letters/redrive", form | {"queue": "x"}).status == 422
    assert headers.post("dead-letters/redrive", form | {"id": "x" * 101}).status == 422
    assert dead.put_backs == []


def test_only_administrators_with_the_token_of_their_session_redrive(
    api: Gateway, built: Application, dead: FakeDeadLetters
) -> None:
    dead.add(DeadQueue.SEND, "garbage")
    form = inputs(visiting(api, built).look("dead-letters/redrive"), "redrive")
    for role in (Role.VIEWER, Role.EDITOR, Role.SENDER):
        headers = visiting(api, built, role)
        assert headers.look("dead-letters").status == 403
        assert headers.look("dead-letters/redrive").status == 403
        assert headers.post("dead-letters/redrive", form).status == 403
    assert visiting(api, built).post("dead-letters/redrive", form).status == 403
    assert dead.put_backs == []


def test_queues_that_do_not_answer_are_said_to_be_so(api: Gateway, built: Application, dead: FakeDeadLetters) -> None:
    use(built, watched(dead, failing(TransientError("no"), times=100), "receive"))
    shown = visiting(api, built).look("dead-letters")
    assert shown.status == 503
    assert "does not answer" in shown.text
