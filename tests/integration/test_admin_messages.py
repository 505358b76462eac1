import re
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.admin.roles import Role
from chalicelib.bootstrap import Application, utc_now
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import UNLEASED, Message, Outcome, Reason, Status, ended, message_id
from tests.builders import client, mailing, message, ulid
from tests.gateway import Gateway
from tests.visitor import Visitor, visiting

HOUR = timedelta(hours=1)
XSS = "<img src=x onerror=alert(1)>"


@pytest.fixture
def running(built: Application) -> Mailing:
    now = utc_now()
    made = mailing(status=MailingStatus.RUNNING, start_at=now - HOUR, end_at=now + 48 * HOUR)
    built.mailings.create(made)
    return made


def planned(built: Application, mailing: Mailing, number: int, held: int = 0) -> list[Message]:
    """Plan messages, the first of them in the hands of a sender."""
    rows = []
    for each in range(1, number + 1):
        built.clients.create(client(id=ulid(each), phone=f"7916123{each:04d}"))
        rows.append(
            message(
                id=message_id(mailing.id, ulid(each)),
                client_id=ulid(each),
                mailing_shard=mailing.message_parts[0],
                lease_until=utc_now() + HOUR if each <= held else UNLEASED,
                leases=int(each <= held),
                due_at=utc_now() + HOUR,
            )
        )
    return list(built.messages.plan(mailing, rows))


def failed(built: Application, row: Message, error: str = "http_404") -> None:
    after = replace(row, attempts=1, last_error=error, version="failed")
    outcome = Outcome(row, ended(after, Status.FAILED, Reason.REFUSED, expires_at=None))
    assert built.messages.record(row.mailing_id, [outcome])


def test_messages_are_shown_with_masked_phones(api: Gateway, built: Application, running: Mailing) -> None:
    row, other = planned(built, running, 2, held=1)
    failed(built, row, XSS)
    shown = visiting(api, built, Role.VIEWER).look(f"mailings/{running.id}/messages")
    assert shown.status == 200
    assert f'<a href="../../clients/{ulid(1)}">*******0001</a>' in shown.text
    assert "79161230001" not in shown.text
    assert f'href="../../messages/{other.id}"' in shown.text
    assert "refused by the provider" in shown.text
    assert "&lt;img src=x" in shown.text
    assert XSS not in shown.text


def test_status_and_reason_choose_messages(api: Gateway, built: Application, running: Mailing) -> None:
    row, other = planned(built, running, 2, held=1)
    failed(built, row)

    def ids(query: str) -> set[int]:
        answer = visiting(api, built).look(f"mailings/{running.id}/messages?{query}")
        assert answer.status == 200
        return {int(id_) for id_ in re.findall(r"messages/(\d+)", answer.text)}

    assert ids("status=&reason=") == {row.id, other.id}
    assert ids("status=failed&reason=") == {row.id}
    assert ids("reason=refused") == {row.id}
    assert ids("status=queued") == {other.id}
    assert ids("reason=crash") == set()


def test_pages_are_turned(api: Gateway, built: Application, running: Mailing) -> None:
    rows = planned(built, running, 5, held=1)
    failed(built, rows[0])
    address, seen, query = f"mailings/{running.id}/messages", list[int](), "?limit=2"
    for _ in range(3):
        answer = visiting(api, built).look(address + query)
        seen += map(int, re.findall(r'messages/(\d+)"', answer.text))
        found = re.search(r'href="(\?[^"]+)" rel="next"', answer.text)
        query = found.group(1).replace("&amp;", "&") if found else ""
    assert sorted(seen) == sorted(row.id for row in rows)
    assert not query
    assert visiting(api, built).look(f"{address}?cursor=made-up").status == 422


@pytest.mark.parametrize("query", ["status=gone", "reason=because", "limit=0", "order=up"])
def test_a_choice_that_does_not_exist_is_refused(
    api: Gateway, built: Application, running: Mailing, query: str
) -> None:
    assert visiting(api, built).look(f"mailings/{running.id}/messages?{query}").status == 422


def test_no_messages_say_why(api: Gateway, built: Application, running: Mailing) -> None:
    address = f"mailings/{running.id}/messages"
    assert "they are made when it starts" in visiting(api, built).look(address).text
    assert "Choose another status" in visiting(api, built).look(f"{address}?status=sent").text
    assert visiting(api, built).look(f"mailings/{ulid(999)}/messages").status == 404


def test_a_long_search_without_a_hit_says_to_go_on(api: Gateway, built: Application, running: Mailing) -> None:
    planned(built, running, 12)
    address = f"mailings/{running.id}/messages"
    answer = visiting(api, built).look(f"{address}?status=sent&limit=1")
    assert "Go on to look further" in answer.text
    found = re.search(r'href="(\?[^"]+)" rel="next"', answer.text)
    assert found
    rest = visiting(api, built).look(address + found.group(1).replace("&amp;", "&"))
    assert "There are no more" in rest.text


def test_a_message_is_explained_with_its_facts(api: Gateway, built: Application) -> None:
    now = utc_now()
    window = LocalWindow.parse("09:00", "18:00")
    made = mailing(status=MailingStatus.RUNNING, start_at=now - HOUR, end_at=now + 48 * HOUR, window=window)
    built.mailings.create(made)
    (row,) = planned(built, made, 1)
    shown = visiting(api, built, Role.VIEWER).look(f"messages/{row.id}")
    assert shown.status == 200
    assert f"<h1>Message {row.id}</h1>" in shown.text
    assert "09:00–18:00" in shown.text
    assert "Europe/Moscow" in shown.text
    assert f'href="../clients/{ulid(1)}">*******0001</a>' in shown.text
    assert f'href="../mailings/{made.id}"' in shown.text
    assert f'href="{row.id}/journal"' in shown.text
    assert re.search(r"it waits for a sender|Waits for 09:00", shown.text)
    russian = visiting(api, built, Role.ADMIN, language="ru").look(f"messages/{row.id}").text
    assert re.search(
        r"<p>Препятствий нет: сообщение ждёт обработчика.</p>|<p>Сообщение ждёт до 09:00 в поясе Europe/Moscow", russian
    )


def test_a_message_that_failed_says_why_and_that_nothing_follows(
    api: Gateway, built: Application, running: Mailing
) -> None:
    (row,) = planned(built, running, 1, held=1)
    failed(built, row, XSS)
    shown = visiting(api, built).look(f"messages/{row.id}")
    assert "The provider refused the first request for good" in shown.text
    assert "Nothing: it has ended." in shown.text
    assert XSS not in shown.text


def test_a_message_of_a_deleted_client_and_mailing_is_shown_still(api: Gateway, built: Application) -> None:
    now = utc_now()
    gone = mailing(status=MailingStatus.DELETED, start_at=now - HOUR, end_at=now + HOUR)
    built.mailings.create(gone)
    (row,) = planned(built, gone, 1)
    built.clients.delete(client(phone="79161230001"))
    shown = visiting(api, built).look(f"messages/{row.id}")
    assert shown.status == 200
    assert shown.text.count("deleted (") == 2
    assert "It is cancelled." in shown.text


def test_a_message_that_waits_for_somebody_says_so(api: Gateway, built: Application) -> None:
    now = utc_now()
    made = mailing(status=MailingStatus.PAUSED, start_at=now - HOUR, end_at=now + HOUR)
    built.mailings.create(made)
    (row,) = planned(built, made, 1)
    assert "somebody must start or resume its mailing" in visiting(api, built).look(f"messages/{row.id}").text


def test_unknown_messages_are_not_found(api: Gateway, built: Application) -> None:
    assert visiting(api, built).look("messages/5").status == 404
    assert visiting(api, built).look("messages/x").status == 404
    assert Visitor(api).look("messages/5").status == 303
