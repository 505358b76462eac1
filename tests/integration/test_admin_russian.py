"""Every page as somebody reads it who reads Russian: nothing English is left that is not marked so."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest

from app import app
from chalicelib.admin.roles import Role
from chalicelib.bootstrap import Application, utc_now
from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.breaker import Breaker, BreakerState, Cause
from chalicelib.domain.bulk_import import ImportKind, ImportStatus, Refusal
from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.journal import Line
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailing import NOT_STARTED, Mailing, MailingStatus
from chalicelib.domain.message import Message, Outcome, Reason, Status, ended, put_off
from chalicelib.domain.suppression import Suppression
from chalicelib.domain.tickets import MessagesTicket
from chalicelib.errors import ConflictError
from chalicelib.services.list_dead_letters import ListDeadLetters
from chalicelib.services.read_dashboard import ReadDashboard
from chalicelib.services.read_journal import Journal
from tests.builders import bulk_import, client, mailing, message, ulid
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.imports import FakeUploads
from tests.fakes.queues import FakeTicketQueue
from tests.gateway import Answer, Gateway
from tests.untranslated import english_on
from tests.visitor import Visitor, inputs, visiting

HOUR = timedelta(hours=1)
PEOPLE = ("Ada", "tester", "user")
RUSSIAN = "ru-RU,ru;q=0.9,en;q=0.8"
CLIENT, PHONE = ulid(1), "79161234001"
STATES = [status for status in MailingStatus if status is not MailingStatus.DELETED]
IDS = {status: ulid(100 + number) for number, status in enumerate(STATES)}
DRAFT, RUNNING, PAUSED = (IDS[status] for status in (STATES[0], STATES[2], STATES[3]))
WAITS = (Reason.WINDOW, Reason.RETRY, Reason.OUTAGE, Reason.RATE, Reason.PAUSED)
FAILS = (Reason.REFUSED, Reason.ATTEMPTS, Reason.UNCERTAIN, Reason.TIMEZONE, Reason.CRASH)
IMPORTS = {status: ulid(200 + number) for number, status in enumerate(ImportStatus)}

PAGES: Mapping[str, Sequence[str]] = {
    "": [""],
    "/audit": ["/audit", "/audit?action=x"],
    "/callback": ["/callback"],
    "/clients": ["/clients", "/clients?tag=x", "/clients?phone=x"],
    "/clients/import": ["/clients/import"],
    "/clients/imports/{import_id}": [f"/clients/imports/{id_}?etag=" for id_ in IMPORTS.values()],
    "/clients/new": ["/clients/new"],
    "/clients/{client_id}": [f"/clients/{CLIENT}", f"/clients/{ulid(2)}", f"/clients/{ulid(404)}"],
    "/clients/{client_id}/delete": [f"/clients/{CLIENT}/delete"],
    "/clients/{client_id}/edit": [f"/clients/{CLIENT}/edit"],
    "/clients/{client_id}/journal": [f"/clients/{CLIENT}/journal"],
    "/clients/{client_id}/opt-out": [f"/clients/{CLIENT}/opt-out"],
    "/dead-letters": ["/dead-letters?queue=plan", "/dead-letters", "/dead-letters?queue=express"],
    "/dead-letters/redrive": ["/dead-letters/redrive", "/dead-letters/redrive?queue=send&id=letter-0001"],
    "/logged-out": ["/logged-out"],
    "/login": ["/login"],
    "/mailings": ["/mailings", "/mailings?status=draft", "/mailings?q=x"],
    "/mailings/new": ["/mailings/new"],
    "/mailings/{mailing_id}": [f"/mailings/{id_}" for id_ in (*IDS.values(), ulid(404))],
    "/mailings/{mailing_id}/cancel": [f"/mailings/{id_}/cancel" for id_ in IDS.values()],
    "/mailings/{mailing_id}/delete": [f"/mailings/{RUNNING}/delete"],
    "/mailings/{mailing_id}/duplicate": [f"/mailings/{RUNNING}/duplicate"],
    "/mailings/{mailing_id}/edit": [f"/mailings/{id_}/edit" for id_ in IDS.values()],
    "/mailings/{mailing_id}/journal": [f"/mailings/{RUNNING}/journal"],
    "/mailings/{mailing_id}/messages": [f"/mailings/{RUNNING}/messages", f"/mailings/{DRAFT}/messages"],
    "/mailings/{mailing_id}/pause": [f"/mailings/{id_}/pause" for id_ in IDS.values()],
    "/mailings/{mailing_id}/resume": [f"/mailings/{id_}/resume" for id_ in IDS.values()],
    "/mailings/{mailing_id}/retry": [f"/mailings/{id_}/retry" for id_ in IDS.values()],
    "/mailings/{mailing_id}/start": [f"/mailings/{id_}/start" for id_ in IDS.values()],
    "/mailings/{mailing_id}/test": [f"/mailings/{RUNNING}/test"],
    "/messages/{message_id}": ["/messages/5"],  # and those of the world
    "/messages/{message_id}/journal": ["/messages/5/journal"],
    "/preferences": ["/preferences", "/preferences?notice=saved"],
    "/search": ["/search?q=5"],
    "/suppressions": ["/suppressions", "/suppressions?phone=1"],
    "/suppressions/import": ["/suppressions/import"],
    "/suppressions/imports/{import_id}": [f"/suppressions/imports/{ulid(300)}"],
    "/suppressions/{phone}/lift": ["/suppressions/79161234002/lift"],
}
FILES = {"/clients/export", "/mailings/{mailing_id}/chart.svg", "/static/{file}"}


@pytest.fixture
def world(built: Application, tickets: FakeTicketQueue, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """Have everything there that pages can show, with texts in Russian; returns a message of each kind."""
    now = utc_now()
    letters = FakeDeadLetters(utc_now)
    letters.add(DeadQueue.SEND, MessagesTicket(v=1, mailing_id=RUNNING, message_ids=[5]).model_dump_json())
    letters.add(DeadQueue.PLAN, "x", "unreadable: something")
    line = Line(now, now, "sender", "{}", {"level": "ERROR", "message": "mailing finished", "mailing_id": RUNNING})
    parts: dict[str, Any] = {
        "list_dead_letters": ListDeadLetters(letters, utc_now),
        "read_dashboard": ReadDashboard(built.mailings, built.counters, tickets, letters, utc_now),
        "breaker": KnownBreaker(Breaker(BreakerState.OPEN, Cause.TOKEN, now, now, now, 3, slowed_until=now + HOUR)),
        "read_journal": lambda *_, **__: Journal([line], now, ("api",), (("planner", "timeout"),)),
        "uploads": FakeUploads(),
        "logins": None,
    }
    for name, part in parts.items():
        monkeypatch.setitem(built.__dict__, name, part)
    monkeypatch.delitem(built.__dict__, "manage_imports", raising=False)
    for number, tag in ((1, "друзья"), (2, None)):
        built.clients.create(client(id=ulid(number), phone=f"7916123400{number}", tag=tag))
    built.suppress_phones.one("79161234002")
    built.suppressions.add(Suppression("79161234003", now))
    for status, id_ in IDS.items():
        built.mailings.create(_mailing(id_, status))
    for state, id_ in IMPORTS.items():
        stored = bulk_import(
            id=id_, status=state, size_bytes=100, failure="the file is empty; its first line must name the columns"
        )
        built.imports.create(stored)
        refusals = [Refusal(2, "row", "has 2 cells, where the header has 3"), Refusal(3, "phone", "Field required")]
        built.imports.replace(stored, replace(stored, version=stored.version + 1), refusals)
    built.imports.create(bulk_import(id=ulid(300), kind=ImportKind.SUPPRESSIONS))
    return _messages(built, _mailing(RUNNING, MailingStatus.RUNNING))


class KnownBreaker:
    """A breaker that is so."""

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker

    def known(self) -> Breaker:
        return self.breaker

    current = known


def _mailing(id_: str, status: MailingStatus) -> Mailing:
    now = utc_now()
    started = {"segments": 1, "message_shards": 4, "started_at": now - HOUR, "planned_at": now}
    return mailing(
        id=id_,
        status=status,
        text="Скидки до воскресенья",
        start_at=now - HOUR,
        end_at=now + HOUR,
        filter=AudienceFilter(("916",), ("друзья",)),
        window=LocalWindow.parse("09:00", "21:00"),
        **({} if status in NOT_STARTED else started),
    )


def _messages(built: Application, of: Mailing) -> list[Message]:
    """Store a message for each status and reason; those that failed, with an error."""
    now = utc_now()
    number = len(WAITS) + len(FAILS) + 5
    planned = [message(mailing_id=of.id, client_id=ulid(n), created_at=now, due_at=now + HOUR) for n in range(number)]
    built.messages.plan(of, planned)
    stored = built.messages.get_many([row.id for row in planned])
    rows = [stored[row.id] for row in planned[1:]]
    ways: list[Message] = [put_off(row, now + HOUR, why, now=now) for row, why in zip(rows, WAITS, strict=False)]
    ways += [
        replace(ended(row, Status.FAILED, why, expires_at=None), attempts=attempts, last_error="http_404")
        for attempts, (row, why) in enumerate(zip(rows[len(ways) :], FAILS, strict=False), 1)
    ]
    ends = [
        (Status.SENT, None),
        (Status.EXPIRED, None),
        (Status.CANCELLED, None),
        (Status.CANCELLED, Reason.SUPPRESSED),
    ]
    ways += [
        replace(ended(row, status, why, expires_at=None), attempts=1, sent_at=now)
        for row, (status, why) in zip(rows[len(ways) :], ends, strict=True)
    ]
    assert built.messages.record(of.id, [Outcome(*both, "http_404") for both in zip(rows, ways, strict=True)])
    return [planned[0], *ways]


def _read(api: Gateway, built: Application, path: str, role: Role = Role.ADMIN) -> Answer:
    return _reader(api, built, role).look(path.removeprefix("/"))


def _reader(api: Gateway, built: Application, role: Role = Role.ADMIN, zone: str = "UTC") -> Visitor:
    return visiting(api, built, role, language=RUSSIAN, zone=zone)


def test_every_page_is_among_those_that_are_read() -> None:
    declared = {path for path, methods in app.routes.items() if path.startswith("/admin") and "GET" in methods}
    assert {path.removeprefix("/admin") for path in declared} - FILES == set(PAGES)


def test_no_page_has_english_words_that_are_not_marked(
    api: Gateway, built: Application, world: Sequence[Message]
) -> None:
    _reader(api, built).post("mailings/new")  # refused: an entry of the audit trail
    api("POST", f"/mailings/{DRAFT}/start")
    found: dict[str, list[str]] = {}
    statuses = set[int]()
    for path in (*(path for paths in PAGES.values() for path in paths), *(f"/messages/{row.id}" for row in world)):
        page = _read(api, built, path)
        assert page.headers["Content-Type"] == "text/html; charset=utf-8", (path, page.status)
        assert '<html lang="ru"' in page.text
        statuses.add(page.status)
        if english := english_on(page.text, *PEOPLE):
            found[path] = english
    assert found == {}
    assert statuses == {200, 400, 404, 409, 422, 503}


@pytest.mark.parametrize("role", Role)
def test_whoever_may_not_is_told_so_in_russian(api: Gateway, built: Application, role: Role) -> None:
    for path in ("", "/audit", "/clients/new", f"/mailings/{DRAFT}/start", "/dead-letters"):
        assert english_on(_read(api, built, path, role).text, *PEOPLE) == []


FAULTS = {
    "/clients/new": {"phone": "1", "timezone": "Mars", "operator_code": "x", "tag": "x" * 65},
    f"/clients/{CLIENT}/edit": {"phone": PHONE, "timezone": "Mars", "version": "1"},
    f"/clients/{CLIENT}/delete": {"csrf": "x"},
    "/suppressions": {"phone": "1"},
    "/preferences": {"language": "x", "theme": "x", "zone": "Mars"},
    "/dead-letters/redrive": {"queue": "x"},
    "/logout": {"csrf": ""},
    f"/mailings/{RUNNING}/start": {},
    f"/mailings/{PAUSED}/pause": {},
    f"/mailings/{RUNNING}/test": {"phone": "1"},
    f"/mailings/{ulid(404)}/cancel": {},
}
MAILING_FAULTS = [
    {"text": " ", "start_at": "x", "end_at": "9999-01-01T00:00", "operator_codes": "1 916", "tags": "x" * 65},
    {"text": "я" * 2001, "window_from": "9", "window_to": "25:00", "on_uncertain": "x"},
    {"text": "\x00", "window_from": "09:00", "end_at": "2020-01-01T00:00"},
    {"window_from": "09:00", "window_to": "09:00", "start_at": "2020-01-01T00:00", "end_at": "2020-02-01T00:00"},
    {"start_at": "2027-03-28T02:30", "end_at": "2027-10-31T02:30", "zone": "Europe/Berlin"},
    {"zone": "Mars"},
    {"key": "x", "text": "текст"},
]


@pytest.mark.usefixtures("world")
def test_what_is_wrong_with_a_form_is_said_in_russian(api: Gateway, built: Application) -> None:
    me = _reader(api, built)
    for path, typed in FAULTS.items():
        answer = me.post(path.removeprefix("/"), typed)
        assert answer.status >= 400, path
        assert english_on(answer.text, *PEOPLE, "Mars") == [], path


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("path", ["/mailings/new", "/mailings/preview", f"/mailings/{DRAFT}/edit"])
def test_what_is_wrong_with_a_mailing_is_said_in_russian(api: Gateway, built: Application, path: str) -> None:
    me = _reader(api, built, zone="Europe/Moscow")
    form = "/mailings/new" if path.endswith("preview") else path
    fields = inputs(me.look(form.removeprefix("/")), form.rpartition("/mailings")[2])
    for typed in MAILING_FAULTS:
        answer = me.post(path.removeprefix("/"), fields | {"do": "draft"} | typed)
        assert english_on(answer.text, *PEOPLE, "Mars", typed.get("tags", "")) == [], typed


@pytest.mark.usefixtures("world")
def test_somebody_else_s_change_in_between_is_told_in_russian(api: Gateway, built: Application) -> None:
    me = _reader(api, built)
    fields = inputs(me.look(f"mailings/{DRAFT}/edit"), "/edit")
    built.manage_mailings.update(DRAFT, lambda mailing: replace(mailing, text="Иначе"))
    answer = me.post(f"mailings/{DRAFT}/edit", fields | {"text": "Текст", "do": "save"})
    assert answer.status == 412
    assert english_on(answer.text, *PEOPLE) == []


@pytest.mark.usefixtures("world")
def test_a_session_that_is_over_is_told_in_russian(api: Gateway) -> None:
    answer = Visitor(api, language=RUSSIAN).post(f"mailings/{DRAFT}/start")
    assert answer.status == 401
    assert "Вы не вошли или сеанс закончился" in answer.text
    assert english_on(answer.text) == []


@pytest.mark.usefixtures("world")
def test_numbers_have_their_forms(api: Gateway, built: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("chalicelib.admin.mailing_actions")  # its package has the blueprint under this name
    found = module._preview_of(_mailing(DRAFT, MailingStatus.DRAFT))
    for number, said in [
        (1, "Будет отправлено 1 сообщение."),
        (2, "Будут отправлены 2 сообщения."),
        (5, "Будет отправлено 5 сообщений."),
        (21, "Будет отправлено 21 сообщение."),
        (12345, "Будет отправлено 12\u00a0345 сообщений."),
    ]:
        shown = found.model_copy(update={"reachable": number})
        monkeypatch.setattr(module, "_preview_of", lambda _, shown=shown: shown)
        assert said in _read(api, built, f"/mailings/{DRAFT}/start").text


def test_moments_and_languages_are_written_as_readers_of_russian_write_them(api: Gateway, built: Application) -> None:
    built.clients.create(client(created_at=datetime(2026, 11, 23, 6, tzinfo=UTC)))
    me = _reader(api, built, zone="Europe/Moscow")
    assert "23 нояб. 2026, 09:00:00 +0300" in me.look(f"clients/{CLIENT}").text
    languages = me.look("preferences").text
    assert '<option value="en" lang="en">English</option>' in languages
    assert '<option value="ru" lang="ru" selected>Русский</option>' in languages


def test_what_the_program_cannot_say_in_russian_is_marked_as_english(
    api: Gateway, built: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        raise ConflictError("nobody <knows> this")

    monkeypatch.setattr(type(built.manage_mailings), "get", lambda _, mailing_id: refuse(mailing_id))
    page = _read(api, built, f"/mailings/{DRAFT}/edit").text
    assert '<span lang="en">nobody &lt;knows&gt; this</span>' in page
    assert english_on(page, *PEOPLE) == []
