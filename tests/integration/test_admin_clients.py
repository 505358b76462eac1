import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from urllib.parse import urlencode

import pytest

from chalicelib.admin.roles import Role
from chalicelib.bootstrap import Application
from chalicelib.domain.client import Client
from chalicelib.domain.message import Message, Outcome, Reason, Status, ended
from chalicelib.domain.suppression import Suppression
from chalicelib.services import export_clients
from tests.builders import NOW, client, mailing, message, ulid
from tests.gateway import Gateway
from tests.visitor import Read, Visitor, visiting
from tests.world import clients

FIELDS = {"phone": "79161234567", "timezone": "Europe/Moscow", "operator_code": "", "tag": "vip"}
XSS = "\"><script>alert(1)</script>'"
As = Callable[[Role], Visitor]


@pytest.fixture
def by(api: Gateway, built: Application) -> As:
    return lambda role: visiting(api, built, role)


@pytest.fixture
def stored(built: Application) -> Client:
    return built.clients.create(client(tag="vip"))


def everyone(built: Application) -> list[Client]:
    return list(built.clients.get_many([ulid(n) for n in range(10)]).values())


def with_messages(built: Application, number: int) -> list[Message]:
    """Plan messages of one client in so many mailings."""
    rows: list[Message] = []
    for n in range(number):
        one = mailing(id=ulid(100 + n), message_shards=1)
        built.mailings.create(one)
        rows += built.messages.plan(one, [message(mailing_id=one.id, client_id=ulid(1))])
    return rows


def test_editors_see_phones_and_viewers_their_last_digits(by: As, stored: Client) -> None:
    for path in ("clients", f"clients/{stored.id}"):
        whole, masked = by(Role.EDITOR).look(path), by(Role.VIEWER).look(path)
        assert (whole.status, masked.status) == (200, 200)
        assert "79161234567" in whole.text
        assert "79161234567" not in masked.text
        assert "*******4567" in masked.text


def test_viewers_are_offered_nothing_that_they_may_not_do(by: As, stored: Client) -> None:
    for path in ("clients", f"clients/{stored.id}"):
        links = {
            link["href"].split("?")[0] for link in Read(by(Role.VIEWER).look(path).text).of("a", **{"class": "button"})
        }
        assert links == set()


@pytest.mark.parametrize(
    "path", ["clients/new", "clients/export", *(f"clients/{ulid(1)}/{what}" for what in ("edit", "delete", "opt-out"))]
)
def test_viewers_may_not_change_clients(by: As, built: Application, stored: Client, path: str) -> None:
    assert by(Role.VIEWER).look(path).status == 403
    if path != "clients/export":
        assert by(Role.VIEWER).post(path, FIELDS).status == 403
    assert everyone(built) == [stored]
    assert by(Role.EDITOR).look(path).status == 200


@pytest.mark.parametrize("what", ["edit", "delete", "opt-out"])
def test_a_form_without_the_token_of_its_session_does_nothing(
    by: As, built: Application, stored: Client, what: str
) -> None:
    assert by(Role.ADMIN).post(f"clients/{stored.id}/{what}", FIELDS | {"csrf": "x"}).status == 403
    assert by(Role.ADMIN).post("clients/new", FIELDS | {"phone": "79161234568", "csrf": ""}).status == 403
    assert everyone(built) == [stored]
    assert built.clients.find_by_phone("79161234568") is None


def test_an_empty_list_says_what_to_do(by: As) -> None:
    assert "There are no clients yet" in by(Role.VIEWER).look("clients").text
    assert "Nobody fits" in by(Role.VIEWER).look("clients?tag=vip").text


def test_clients_are_found_by_phone_code_and_tag(by: As, built: Application) -> None:
    for n, (code, tag) in enumerate([("916", "vip"), ("916", None), ("903", "vip")], 1):
        built.clients.create(client(id=ulid(n), phone=f"7{code}000000{n}", operator_code=code, tag=tag))

    def found(**asked: str) -> set[str]:
        page = by(Role.EDITOR).look(f"clients?{urlencode(asked)}").text
        return {n for n in "123" if f"clients/{ulid(int(n))}" in page}

    assert found() == found(phone="", tag="", operator_code="") == {"1", "2", "3"}
    assert found(tag="vip") == {"1", "3"}
    assert found(tag="vip", operator_code="916") == {"1"}
    assert found(phone="+7 (916) 000-00-02") == {"2"}
    assert found(phone="89160000002", tag="vip") == set()


@pytest.mark.parametrize(("field", "text"), [("phone", "916"), ("operator_code", "x"), ("tag", "x" * 65)])
def test_a_filter_that_cannot_be_is_refused_beside_its_field(by: As, stored: Client, field: str, text: str) -> None:  # noqa: ARG001 - who is not listed
    answer = by(Role.EDITOR).look(f"clients?{urlencode({field: text})}")
    assert answer.status == 422
    (faulty,) = Read(answer.text).of("input", **{"aria-invalid": "true"})
    assert (faulty["name"], faulty["value"]) == (field, text)
    assert Read(answer.text).of("p", id=faulty["aria-describedby"])


def test_a_long_list_goes_on_from_page_to_page(by: As, built: Application) -> None:
    for one in clients(5, tag="a b&c"):
        built.clients.create(one)
    path, seen = f"clients?{urlencode({'tag': 'a b&c', 'limit': '2'})}", []
    while path:
        page = Read(by(Role.EDITOR).look(path).text)
        seen += [link["href"] for link in page.of("a") if "/01K" in link["href"]]
        path = next((link["href"].removeprefix("./") for link in page.of("a", rel="next")), "")
    assert len(seen) == len(set(seen)) == 5
    assert by(Role.EDITOR).look("clients?cursor=x").status == 422


def test_a_client_is_created(by: As, built: Application) -> None:
    answer = by(Role.EDITOR).post("clients/new", FIELDS | {"phone": "8 (916) 123-45-67"})
    made = built.clients.find_by_phone("79161234567")
    assert made
    assert (made.timezone, made.operator_code, made.tag) == ("Europe/Moscow", "916", "vip")
    assert (answer.status, answer.headers["Location"]) == (303, f"../clients/{made.id}?notice=saved")
    assert "Saved." in by(Role.EDITOR).look(f"clients/{made.id}?notice=saved").text


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("phone", ""),
        ("phone", XSS),
        ("timezone", ""),
        ("timezone", "Mars/Base"),
        ("operator_code", "12"),
        ("tag", "x" * 65),
        ("tag", "a\tb"),
    ],
)
def test_a_fault_is_named_beside_its_field_and_nothing_is_stored(
    by: As, built: Application, stored: Client, field: str, text: str
) -> None:
    for path in ("clients/new", f"clients/{stored.id}/edit"):
        fields = FIELDS | {"operator_code": "916", "version": str(stored.version), field: text}
        answer = by(Role.EDITOR).post(path, fields)
        assert answer.status == 422
        page = Read(answer.text)
        (faulty,) = page.of("input", **{"aria-invalid": "true"})
        assert faulty["name"] == field
        fault = next(name for name in faulty["aria-describedby"].split() if name.endswith("-fault"))
        assert page.of("p", id=fault)
        assert not page.of("script", src="")
        assert len(page.of("script")) == 1
    assert everyone(built) == [stored]


def test_a_phone_that_another_has_is_refused_in_words(by: As, built: Application, stored: Client) -> None:
    answer = by(Role.EDITOR).post("clients/new", FIELDS)
    assert answer.status == 409
    assert "phone" in Read(answer.text).text
    assert Read(answer.text).of("input", name="tag", value="vip")
    assert everyone(built) == [stored]


def test_a_client_is_changed_and_its_operator_code_follows_its_phone(
    by: As, built: Application, stored: Client
) -> None:
    shown = Read(by(Role.EDITOR).look(f"clients/{stored.id}/edit").text)
    fields = {tag["name"]: tag["value"] for tag in shown.of("input")}
    answer = by(Role.EDITOR).post(f"clients/{stored.id}/edit", fields | {"phone": "79031234567", "tag": ""})
    assert answer.status == 403  # the fields hold the token of another login
    del fields["csrf"]
    answer = by(Role.EDITOR).post(f"clients/{stored.id}/edit", fields | {"phone": "79031234567", "tag": ""})
    assert (answer.status, answer.headers["Location"]) == (303, f"../../clients/{stored.id}?notice=saved")
    after = built.manage_clients.get(stored.id)
    assert (after.phone, after.operator_code, after.tag) == ("79031234567", "903", None)


def test_a_client_that_somebody_changed_meanwhile_is_not_overwritten(
    by: As, built: Application, stored: Client
) -> None:
    built.manage_clients.update(stored.id, lambda one: replace(one, tag="other"))
    answer = by(Role.EDITOR).post(f"clients/{stored.id}/edit", FIELDS | {"version": str(stored.version)})
    assert answer.status == 409
    assert "somebody else" in answer.text
    assert built.manage_clients.get(stored.id).tag == "other"


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "nothing is cancelled"), (1, "1 open message is cancelled"), (2, "2 open messages are cancelled")],
)
@pytest.mark.parametrize("what", ["delete", "opt-out"])
def test_before_a_client_is_deleted_or_opts_out_the_effect_is_named(
    by: As, built: Application, stored: Client, what: str, number: int, words: str
) -> None:
    done, *_ = with_messages(built, number + 1)
    built.messages.record(done.mailing_id, [Outcome(done, ended(done, Status.SENT, expires_at=None))])
    asked = by(Role.EDITOR).look(f"clients/{stored.id}/{what}")
    assert words in Read(asked.text).text
    assert everyone(built) == [stored]
    answer = by(Role.EDITOR).post(f"clients/{stored.id}/{what}")
    assert answer.status == 303
    after = built.clients.get(stored.id)
    assert (after is None) if what == "delete" else (after is not None and after.suppressed)
    listed = built.message_lists.of_client(stored.id, None, 500).items
    statuses = Counter(row.status for row in built.messages.get_many(listed).values())
    assert statuses == Counter({Status.SENT: 1}) + Counter({Status.CANCELLED: number})


def test_a_client_who_opted_out_shows_since_when_and_offers_to_lift_it(by: As, built: Application) -> None:
    built.suppressions.add(Suppression("79161234567", NOW))
    one = built.clients.create(client())
    page = by(Role.EDITOR).look(f"clients/{one.id}").text
    assert "23 Nov 2026, 06:00:00" in page
    assert Read(page).of("a", href="../suppressions/79161234567/lift")
    assert "79161234567" not in by(Role.VIEWER).look(f"clients/{one.id}").text
    assert "stays opted out" in by(Role.EDITOR).look(f"clients/{one.id}/delete").text


def test_a_client_shows_its_messages_page_by_page(by: As, built: Application, stored: Client) -> None:
    rows = with_messages(built, 3)
    seen: set[str] = set()
    path = f"clients/{stored.id}?limit=2"
    for _ in range(2):
        page = Read(by(Role.VIEWER).look(path).text)
        seen |= {link["href"].rpartition("/")[2] for link in page.of("a") if "/messages/" in link["href"]}
        path = next((link["href"].removeprefix("../") for link in page.of("a", rel="next")), "")
    assert seen == {str(row.id) for row in rows}
    assert "No messages" in by(Role.VIEWER).look(f"clients/{built.clients.create(clients(1, first=9)[0]).id}").text


def test_a_message_that_was_not_sent_says_why(by: As, built: Application, stored: Client) -> None:
    (row,) = with_messages(built, 1)
    cancelled = ended(row, Status.CANCELLED, Reason.SUPPRESSED, expires_at=None)
    built.messages.record(row.mailing_id, [Outcome(row, cancelled)])
    page = Read(by(Role.VIEWER).look(f"clients/{stored.id}").text)
    assert page.of("span", **{"class": "status cancelled"})
    assert "cancelled client opted out – 0" in page.text


def test_a_client_that_is_not_there_is_not_found(by: As) -> None:
    for path in (f"clients/{ulid(404)}", f"clients/{ulid(404)}/edit", f"clients/{ulid(404)}/delete", "clients/x"):
        assert by(Role.EDITOR).look(path).status == 404


def test_what_is_written_in_a_tag_stays_text(by: As, built: Application) -> None:
    one = built.clients.create(client(tag=XSS))
    for path in (
        "clients",
        f"clients?{urlencode({'tag': XSS})}",
        f"clients?{urlencode({'phone': XSS})}",
        *(f"clients/{one.id}{what}" for what in ("", "/edit", "/delete", "/opt-out")),
    ):
        page = Read(by(Role.EDITOR).look(path).text)
        assert len(page.of("script")) == 1
    assert Read(by(Role.EDITOR).look(f"clients/{one.id}/edit").text).of("input", name="tag", value=XSS)


def test_the_clients_of_a_list_are_exported(by: As, built: Application) -> None:
    for one, tag in zip(clients(3), ["vip", "=1+1", None], strict=True):
        built.clients.create(replace(one, tag=tag))

    def exported(query: str) -> list[list[str]]:
        answer = by(Role.EDITOR).look(f"clients/export{query}")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert "attachment" in answer.headers["Content-Disposition"]
        assert answer.text.startswith("\ufeff")
        header, *rows = csv.reader(StringIO(answer.text[1:]))
        assert header == ["phone", "timezone", "operator_code", "tag"]
        return sorted(rows)

    everybody = exported("")
    assert [row[3] for row in everybody] == ["vip", "'=1+1", ""]
    assert exported("?tag=vip") == everybody[:1]
    assert exported("?phone=79160000002") == everybody[1:2]


def test_an_export_that_cannot_be_made_says_why(
    by: As, built: Application, stored: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert by(Role.EDITOR).look("clients/export?phone=1").status == 422
    monkeypatch.setattr(export_clients, "MAX_CLIENTS", 0)
    answer = by(Role.EDITOR).look("clients/export")
    assert answer.status == 422
    assert "narrow the list" in answer.text
    assert everyone(built) == [stored]
