from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.admin.roles import Role
from chalicelib.bootstrap import Application, utc_now
from chalicelib.domain.breaker import Breaker, BreakerState, Cause
from chalicelib.domain.bulk_import import ImportKind
from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import UNLEASED
from chalicelib.services.read_dashboard import ReadDashboard
from tests.builders import bulk_import, client, mailing, message, ulid
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.queues import FakeTicketQueue
from tests.gateway import Gateway
from tests.visitor import Visitor, visiting

HOUR = timedelta(hours=1)
XSS = "<b>bold</b>"


class KnownBreaker:
    """A breaker that is so."""

    def __init__(self, breaker: Breaker | None) -> None:
        self.breaker = breaker

    def known(self) -> Breaker | None:
        return self.breaker


@pytest.fixture
def dead(built: Application, monkeypatch: pytest.MonkeyPatch) -> FakeDeadLetters:
    letters = FakeDeadLetters(utc_now)
    dashboard = ReadDashboard(built.mailings, built.counters, built.tickets, letters, utc_now)
    monkeypatch.setitem(built.__dict__, "read_dashboard", dashboard)
    return letters


def test_an_empty_dashboard_says_where_to_go(api: Gateway, built: Application, dead: FakeDeadLetters) -> None:  # noqa: ARG001 - the queues
    shown = visiting(api, built, Role.VIEWER).look("")
    assert shown.status == 200
    assert "No mailing is running." in shown.text
    assert "No ticket has failed." in shown.text
    assert "Requests are made." in shown.text
    assert 'data-live="5"' in shown.text
    assert "Next to start" not in shown.text


def test_running_mailings_are_shown_with_their_progress(
    api: Gateway, built: Application, tickets: FakeTicketQueue, dead: FakeDeadLetters
) -> None:
    now = utc_now()
    times = {"start_at": now - HOUR, "end_at": now + HOUR, "started_at": now - HOUR}
    made = mailing(status=MailingStatus.RUNNING, text=XSS, **times)
    built.mailings.create(made)
    built.mailings.create(mailing(id=ulid(101), status=MailingStatus.PAUSED, planned_at=now, **times))
    built.mailings.create(mailing(id=ulid(102), status=MailingStatus.RUNNING, planned_at=now, **times))
    built.mailings.create(mailing(id=ulid(103), status=MailingStatus.RUNNING, test_of=made.id, text="test", **times))
    built.mailings.create(mailing(id=ulid(104), start_at=now + HOUR, text="to come"))
    row = message(mailing_shard=made.message_parts[0], lease_until=UNLEASED, due_at=now + HOUR)
    built.messages.plan(made, [row])
    tickets.send_messages(replace(made, express=True), [([row.id], timedelta())])
    dead.add(DeadQueue.PLAN, "garbage")
    shown = visiting(api, built).look("")
    assert "&lt;b&gt;bold" in shown.text
    assert XSS not in shown.text
    assert "0 of 1" in shown.text
    for said in ("still planning", "when it is resumed", "unknown: nothing was sent of late", "to come"):
        assert said in shown.text
    assert ulid(103) not in shown.text
    assert "<dt>Express</dt><dd>1</dd>" in shown.text
    assert 'href="./dead-letters">See why' in shown.text
    assert "An administrator can redrive them" in visiting(api, built, Role.SENDER).look("").text


@pytest.mark.parametrize(
    ("state", "cause", "words"),
    [
        (BreakerState.OPEN, Cause.OUTAGE, ["does not answer as it should", "until a probe succeeds"]),
        (BreakerState.HALF_OPEN, Cause.TOKEN, ["refuses our token", "A probe is on its way"]),
    ],
)
def test_provider_s_state_is_said_in_words_with_its_times(
    api: Gateway,
    built: Application,
    dead: FakeDeadLetters,  # noqa: ARG001 - the queues
    monkeypatch: pytest.MonkeyPatch,
    state: BreakerState,
    cause: Cause,
    words: list[str],
) -> None:
    now = utc_now()
    breaker = Breaker(state, cause, now - HOUR, now, now + HOUR, 3, slowed_until=now + HOUR)
    monkeypatch.setitem(built.__dict__, "breaker", KnownBreaker(breaker))
    shown = visiting(api, built).look("").text
    for said in [*words, "Next probe", "It asked for a pause"]:
        assert said in shown


def test_what_cannot_be_read_is_said_to_be_unknown(
    api: Gateway, built: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(built.__dict__, "breaker", KnownBreaker(None))
    shown = visiting(api, built).look("")  # of the dead-letter queues there is none here
    assert shown.status == 200
    assert "its state cannot be read" in shown.text
    assert "the queues do not answer" in shown.text


def test_day_begins_where_the_reader_is(api: Gateway, built: Application, dead: FakeDeadLetters) -> None:  # noqa: ARG001 - the queues
    shown = visiting(api, built, zone="+05:30").look("")
    assert ", 00:00:00 +05:30" in shown.text


def test_search_leads_to_what_has_the_id_or_the_phone(api: Gateway, built: Application) -> None:
    now = utc_now()
    made = mailing(status=MailingStatus.RUNNING, start_at=now - HOUR, end_at=now + HOUR)
    built.mailings.create(made)
    built.clients.create(client())
    built.imports.create(bulk_import())
    built.imports.create(bulk_import(id=ulid(777), kind=ImportKind.SUPPRESSIONS))
    row = message(mailing_shard=made.message_parts[0], lease_until=UNLEASED, due_at=now + HOUR)
    built.messages.plan(made, [row])
    for asked, address in [
        (made.id, f"mailings/{made.id}"),
        ("%2B7+916+123-45-67", f"clients/{client().id}"),
        (client().id.lower(), f"clients/{client().id}"),
        (str(row.id), f"messages/{row.id}"),
        (bulk_import().id, f"clients/imports/{bulk_import().id}"),
        (ulid(777), f"suppressions/imports/{ulid(777)}"),
    ]:
        found = visiting(api, built, Role.VIEWER).look(f"search?q={asked}")
        assert (found.status, found.headers["Location"]) == (303, f"./{address}")


def test_search_for_nothing_known_says_so(api: Gateway, built: Application) -> None:
    shown = visiting(api, built).look("search?q=%3Cscript%3E")
    assert shown.status == 200
    assert "Nothing has the id or the phone &lt;script&gt;" in shown.text
    assert "Nothing has" not in visiting(api, built).look("search?q=+").text
    assert visiting(api, built).look(f"search?q={'x' * 101}").status == 422
    assert Visitor(api).look("search?q=1").status == 303
