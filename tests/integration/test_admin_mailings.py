import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

import pytest

from chalicelib.admin.local_time import read_local, write_local
from chalicelib.admin.roles import Role
from chalicelib.bootstrap import Application, utc_now
from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import Outcome, Reason, Status, ended, put_off
from tests.builders import client, mailing, message, ulid
from tests.gateway import Answer, Gateway
from tests.visitor import Visitor, inputs, visiting

ID = ulid(100)
HERE = f"mailings/{ID}"
HOUR = timedelta(hours=1)
ZONE = "Europe/Moscow"
XSS = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"

Storing = Callable[..., Mailing]


@pytest.fixture
def stored(built: Application) -> Storing:
    """Store a mailing in some state, with one row of each status if it has started."""

    def store(status: MailingStatus = MailingStatus.DRAFT, *, rows: bool = False, **changes: Any) -> Mailing:  # noqa: ANN401 - facts by name
        now = utc_now().replace(second=7, microsecond=0)
        started: dict[str, Any] = {"segments": 1, "message_shards": 4, "started_at": now - HOUR, "planned_at": now}
        made = mailing(id=ID, status=status, start_at=now - HOUR, end_at=now + HOUR, created_at=now, updated_at=now)
        has_rows = status not in {MailingStatus.DRAFT, MailingStatus.SCHEDULED}
        made = replace(made, **(started if has_rows else {}) | changes)
        built.mailings.create(made)
        if rows:
            plan(built, made, now)
        return made

    return store


def plan(built: Application, made: Mailing, now: datetime) -> None:
    """Store two open messages, one sent, two failed."""
    planned = [message(mailing_id=made.id, client_id=ulid(n), created_at=now) for n in range(5)]
    built.messages.plan(made, planned)
    found = built.messages.get_many([row.id for row in planned])
    waiting, sent, *failed = [found[row.id] for row in planned[1:]]
    ends = [replace(ended(row, Status.FAILED, Reason.REFUSED, expires_at=None), attempts=1) for row in failed]
    built.messages.record(
        made.id,
        [
            Outcome(waiting, put_off(waiting, now, Reason.WINDOW, now=now)),
            Outcome(sent, replace(ended(sent, Status.SENT, expires_at=None), attempts=1, sent_at=now)),
            *(Outcome(before, after, "http_<b>") for before, after in zip(failed, ends, strict=True)),
        ],
    )


def filled(visitor: Visitor, path: str = "mailings/new") -> dict[str, str]:
    """Read what a form is filled in with."""
    page = visitor.look(path)
    assert page.status == 200, page.text
    return inputs(page, "/edit" if path.endswith("/edit") else "mailings/new")


def faults(page: Answer) -> dict[str, str]:
    """Read what is said beside the fields, by field."""
    return dict(re.findall(r'<p class="fault" id="([a-z_]+)-fault">([^<]*)</p>', page.text))


class TestList:
    def test_who_has_none_is_told_what_to_do(self, api: Gateway, built: Application) -> None:
        assert "Create the first one." in visiting(api, built, Role.EDITOR).look("mailings").text
        viewers = visiting(api, built, Role.VIEWER).look("mailings").text
        assert "There are no mailings yet." in viewers
        assert "mailings/new" not in viewers

    def test_each_is_shown_with_its_counts(self, api: Gateway, built: Application, stored: Storing) -> None:
        stored(MailingStatus.RUNNING, rows=True)
        page = visiting(api, built).look("mailings").text
        assert '<progress max="5" value="3"' in page
        assert '<span class="status running">running</span>' in page
        assert f'href="./mailings/{ID}"' in page

    def test_status_and_text_pick(self, api: Gateway, built: Application) -> None:
        now = utc_now()
        draft, running = MailingStatus.DRAFT, MailingStatus.RUNNING
        for number, (status, text, tag) in enumerate(
            [(draft, "Salz", "a"), (running, "SALZ", "b"), (running, "c", "ß")]
        ):
            meant = AudienceFilter(tags=(tag,))
            made = mailing(id=ulid(number), status=status, text=text, filter=meant, created_at=now, updated_at=now)
            built.mailings.create(made)

        def listed(query: str) -> list[str]:
            page = visiting(api, built).look(f"mailings?{query}")
            assert page.status == 200, page.text
            return re.findall(r'<td class="name"><a [^>]*>([^<]*)</a>', page.text)

        assert listed("status=&q=") == ["c", "SALZ", "Salz"]
        assert sorted(listed("status=running&q="), reverse=True) == ["c", "SALZ"]
        assert listed("q=salz") == ["SALZ", "Salz"]
        assert listed("q=salz&status=draft") == ["Salz"]
        assert listed("q=SS") == ["c"]
        assert listed(f"q={ulid(2)}") == ["c"]
        assert listed("q=pepper") == []
        assert "Search for something else" in visiting(api, built).look("mailings?q=pepper").text

    def test_pages_hold_every_mailing_once(self, api: Gateway, built: Application) -> None:
        for number in range(60):
            built.mailings.create(mailing(id=ulid(number)))
        found, query = [], ""
        while True:
            page = visiting(api, built).look(f"mailings{query}").text
            found += re.findall(r'<td class="name"><a href="./mailings/([^"]*)"', page)
            following = re.search(r'rel="next" href="([^"]*)"', page)
            if not following:
                break
            query = following[1].replace("&amp;", "&")
        assert found == [ulid(number) for number in reversed(range(60))]
        assert "Newest" in page

    def test_a_search_goes_on_behind_what_it_looked_through(
        self, api: Gateway, built: Application, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = import_module("chalicelib.admin.mailings")  # in the package its blueprint has the same name
        monkeypatch.setattr(module, "SEARCHED", 2)
        monkeypatch.setattr(module, "MAX_READS", 2)
        for number in range(5):
            built.mailings.create(mailing(id=ulid(number), text="needle" if number == 0 else "hay"))
        page = visiting(api, built).look("mailings?q=needle").text
        assert "go on with the older ones" in page
        query = re.findall(r'rel="next" href="([^"]*)"', page)[0].replace("&amp;", "&")
        assert ulid(0) in visiting(api, built).look(f"mailings{query}").text

    @pytest.mark.parametrize("query", ["status=deleted", "status=x", "cursor=x", "x=y"])
    def test_another_query_is_refused(self, api: Gateway, built: Application, query: str) -> None:
        assert visiting(api, built).look(f"mailings?{query}").status == 422


class TestCreate:
    def test_a_draft_is_what_was_filled_in(self, api: Gateway, built: Application) -> None:
        me = visiting(api, built, Role.EDITOR, zone=ZONE)
        fields = filled(me)
        assert fields["zone"] == ZONE
        start = write_local(utc_now() + HOUR, ZONE)
        end = write_local(utc_now() + 2 * HOUR, ZONE)
        typed = {
            "text": " Two\r\nlines ",
            "start_at": start,
            "end_at": end,
            "operator_codes": "916, 917",
            "tags": "vip, gold\r\n\r\nж",
            "window_from": "09:00",
            "window_to": "21:00",
            "on_uncertain": "hold",
            "do": "draft",
        }
        answer = me.post("mailings/new", fields | typed)
        assert answer.status == 303, answer.text
        (made,) = built.manage_mailings.page(None, None, 10).items
        assert answer.headers["Location"] == f"../mailings/{made.id}?notice=saved"
        assert (made.text, made.status) == ("Two\nlines", MailingStatus.DRAFT)
        assert (made.start_at, made.end_at) == (read_local(start, ZONE), read_local(end, ZONE))
        assert made.filter == AudienceFilter(("916", "917"), ("vip, gold", "ж"))
        assert made.window == LocalWindow.parse("09:00", "21:00")
        assert made.on_uncertain == "hold"
        again = filled(me, f"mailings/{made.id}/edit")
        for name in ("start_at", "end_at", "window_from", "window_to", "on_uncertain"):
            assert again[name] == typed[name]
        assert (again["operator_codes"], again["tags"], again["text"]) == ("916 917", "vip, gold\nж", "Two\nlines")

    @pytest.mark.parametrize(
        ("change", "field", "message"),
        [
            ({"text": " "}, "text", "String should have at least 1 character"),
            ({"text": "x" * 2001}, "text", "String should have at most 2000 characters"),
            ({"text": "a\x00b"}, "text", "must not contain control characters"),
            ({"start_at": ""}, "start_at", "must be a date and a time"),
            ({"start_at": "tomorrow"}, "start_at", "must be a date and a time"),
            ({"start_at": "9999-01-01T00:00"}, "start_at", "must not be after the year 2199"),
            ({"start_at": "2027-03-28T02:30", "zone": "Europe/Berlin"}, "start_at", "does not exist in Europe/Berlin"),
            ({"end_at": "2027-10-31T02:30", "zone": "Europe/Berlin"}, "end_at", "is there twice in Europe/Berlin"),
            ({"end_at": "2020-01-01T00:00"}, "end_at", "must be after start_at"),
            ({"start_at": "2020-01-01T00:00", "end_at": "2020-01-02T00:00"}, "end_at", "must be in the future"),
            ({"end_at": "2199-01-01T00:00"}, "end_at", "must be at most 30 days after start_at"),
            ({"operator_codes": "916 91x"}, "operator_codes", "91x: String should match pattern"),
            ({"tags": "fine\n" + "x" * 65}, "tags", "String should have at most 64 characters"),
            ({"window_from": "09:00"}, "window_to", "Field required"),
            ({"window_to": "09:00"}, "window_from", "Field required"),
            ({"window_from": "9", "window_to": "10:00"}, "window_from", "String should match pattern"),
            ({"window_from": "09:00", "window_to": "09:00"}, "window_from", "cannot open and close at the same time"),
            ({"on_uncertain": "x"}, "on_uncertain", "Input should be"),
        ],
    )
    def test_a_fault_stands_beside_its_field_and_what_was_typed_stays(
        self, api: Gateway, built: Application, change: dict[str, str], field: str, message: str
    ) -> None:
        me = visiting(api, built, Role.EDITOR)
        typed = filled(me) | {"text": "Typed", "operator_codes": "999"} | change
        answer = me.post("mailings/new", typed | {"do": "draft"})
        assert answer.status == 422
        assert list(faults(answer)) == [field]
        assert message in faults(answer)[field]
        assert re.search(
            rf'id="{field}"[^>]*aria-describedby="[^"]*{field}-fault"[^>]* aria-invalid="true"', answer.text
        )
        shown = inputs(answer, "mailings/new")
        assert {name: shown[name] for name in typed if name != "on_uncertain"} == {
            name: text.strip() for name, text in typed.items() if name != "on_uncertain"
        }
        assert built.manage_mailings.page(None, None, 10).items == []

    def test_an_unknown_zone_is_named(self, api: Gateway, built: Application) -> None:
        me = visiting(api, built)
        answer = me.post("mailings/new", filled(me) | {"text": "x", "zone": "Mars", "do": "draft"})
        assert answer.status == 422
        assert "zone: &#39;Mars&#39; is neither" in answer.text

    def test_only_senders_start(self, api: Gateway, built: Application) -> None:
        editor, sender = visiting(api, built, Role.EDITOR), visiting(api, built, Role.SENDER)
        assert 'value="start"' not in editor.look("mailings/new").text
        assert 'value="start"' in sender.look("mailings/new").text
        typed = {"text": "x", "do": "start"}
        assert editor.post("mailings/new", filled(editor) | typed).status == 403
        assert built.manage_mailings.page(None, None, 10).items == []
        answer = sender.post("mailings/new", filled(sender) | typed)
        (made,) = built.manage_mailings.page(None, None, 10).items
        assert made.status is MailingStatus.SCHEDULED
        assert answer.headers["Location"] == f"../mailings/{made.id}?notice=started"

    def test_a_form_that_is_sent_twice_creates_one(self, api: Gateway, built: Application) -> None:
        me = visiting(api, built)
        typed = filled(me) | {"text": "x", "do": "draft"}
        first, second = (me.post("mailings/new", typed) for _ in range(2))
        assert first.headers["Location"] == second.headers["Location"]
        other = me.post("mailings/new", typed | {"text": "y"})
        assert other.headers["Location"] != first.headers["Location"]
        assert len(built.manage_mailings.page(None, None, 10).items) == 2

    def test_without_a_key_or_a_token_nothing_is_created(self, api: Gateway, built: Application) -> None:
        me = visiting(api, built)
        typed = filled(me) | {"text": "x", "do": "draft"}
        assert me.post("mailings/new", typed | {"key": "x"}).status == 400
        assert me.post("mailings/new", typed | {"csrf": ""}).status == 403
        assert built.manage_mailings.page(None, None, 10).items == []

    def test_viewers_do_not_create(self, api: Gateway, built: Application) -> None:
        me = visiting(api, built, Role.VIEWER)
        assert me.look("mailings/new").status == 403
        assert me.post("mailings/new", filled(visiting(api, built))).status == 403

    def test_a_duplicate_is_filled_in_as_the_original_for_as_long_from_now(
        self, api: Gateway, built: Application, stored: Storing
    ) -> None:
        stored(MailingStatus.FINISHED, text="Again", filter=AudienceFilter(("916",), ("vip",)))
        shown = filled(visiting(api, built), f"{HERE}/duplicate")
        assert (shown["text"], shown["operator_codes"], shown["tags"], shown["tag"]) == ("Again", "916", "vip", "")
        start, end = (datetime.fromisoformat(shown[name]) for name in ("start_at", "end_at"))
        assert end - start == 2 * HOUR
        assert abs(start - utc_now().replace(tzinfo=None)) < timedelta(minutes=2)


class TestPreview:
    def test_it_says_whom_it_would_reach(self, api: Gateway, built: Application) -> None:
        for number, zone in enumerate([ZONE, ZONE, "Mars/Base"]):
            built.clients.create(client(id=ulid(number), phone=f"7916000000{number}", timezone=zone))
        me = visiting(api, built, Role.EDITOR)
        typed = filled(me) | {"text": "ж" * 71, "window_from": "00:00", "window_to": "23:59"}
        alone = me.post("mailings/preview", typed)
        inside = me.post("mailings/new", typed | {"do": "preview"})
        for page in (alone, inside):
            assert page.status == 200, page.text
            assert re.search(r"<dt>Audience</dt>\s*<dd>3 clients</dd>", page.text)
            assert "<dd>2 (UCS-2)</dd>" in page.text
            assert "1: their time zone is unknown" in page.text
            assert f"<td>{ZONE}</td>" in page.text
            assert 'id="preview"' in page.text
        assert inputs(inside, "mailings/new")["text"] == typed["text"]
        assert built.manage_mailings.page(None, None, 10).items == []

    def test_what_is_not_right_yet_is_said(self, api: Gateway, built: Application) -> None:
        me = visiting(api, built, Role.EDITOR)
        page = me.post("mailings/preview", filled(me))
        assert page.status == 200
        assert "<li>Text: String should have at least 1 character</li>" in page.text
        inside = me.post("mailings/new", filled(me) | {"do": "preview"})
        assert inside.status == 422

    def test_an_empty_audience_is_said(self, api: Gateway, built: Application) -> None:
        me = visiting(api, built, Role.EDITOR)
        page = me.post("mailings/preview", filled(me) | {"text": "x"})
        assert "no client is like that" in page.text


class TestChange:
    def test_what_was_not_touched_stays_to_the_second(self, api: Gateway, built: Application, stored: Storing) -> None:
        before = stored(text="a\r\nb ", window=LocalWindow.parse("09:00", "21:00"))
        me = visiting(api, built, Role.EDITOR)
        shown = filled(me, f"{HERE}/edit")
        assert me.post(f"{HERE}/edit", shown).status == 303
        assert built.manage_mailings.get(ID) == before
        assert me.post(f"{HERE}/edit", shown | {"window_from": "", "window_to": ""}).status == 303
        after = built.manage_mailings.get(ID)
        same = replace(after, updated_at=before.updated_at, correlation_id=before.correlation_id)
        assert same == replace(before, window=None, version=2)

    def test_all_of_a_draft_changes(self, api: Gateway, built: Application, stored: Storing) -> None:
        before = stored()
        me = visiting(api, built, Role.EDITOR)
        changes = {
            "text": "New",
            "start_at": write_local(before.start_at + HOUR, "UTC"),
            "end_at": write_local(before.end_at + HOUR, "UTC"),
            "operator_codes": "916",
            "tags": "vip",
            "window_from": "09:00",
            "window_to": "10:00",
            "on_uncertain": "hold",
        }
        answer = me.post(f"{HERE}/edit", filled(me, f"{HERE}/edit") | changes)
        assert (answer.status, answer.headers.get("Location")) == (303, f"../../mailings/{ID}?notice=saved")
        shown = filled(me, f"{HERE}/edit")
        assert {name: shown[name] for name in changes} == changes

    def test_while_it_runs_only_senders_change_it_and_not_its_start(
        self, api: Gateway, built: Application, stored: Storing
    ) -> None:
        before = stored(MailingStatus.RUNNING)
        editor, sender = visiting(api, built, Role.EDITOR), visiting(api, built, Role.SENDER)
        assert editor.look(f"{HERE}/edit").status == 403
        shown = filled(sender, f"{HERE}/edit")
        theirs = shown | {"text": "x", "csrf": filled(editor)["csrf"]}
        refused = editor.post(f"{HERE}/edit", theirs)
        assert refused.status == 403
        assert "to change it needs the role sender" in refused.text
        page = sender.look(f"{HERE}/edit").text
        assert re.findall(r'name="([a-z_]+)"[^>]* readonly', page) == ["start_at", "operator_codes", "tags"]
        refused = sender.post(f"{HERE}/edit", shown | {"tags": "x"})
        assert refused.status == 409
        assert "filter cannot be changed once the mailing has started" in refused.text
        assert built.manage_mailings.get(ID) == before
        assert sender.post(f"{HERE}/edit", shown | {"text": "Sent later"}).status == 303
        assert built.manage_mailings.get(ID).text == "Sent later"

    @pytest.mark.parametrize("status", [MailingStatus.FINISHED, MailingStatus.CANCELLED])
    def test_what_is_over_has_no_form(
        self, api: Gateway, built: Application, stored: Storing, status: MailingStatus
    ) -> None:
        stored(status)
        assert visiting(api, built).look(f"{HERE}/edit").status == 409
        assert "/edit" not in visiting(api, built).look(HERE).text

    def test_a_change_in_between_is_shown_and_not_written_over(
        self, api: Gateway, built: Application, stored: Storing
    ) -> None:
        before = stored(text="First")
        me = visiting(api, built)
        mine = filled(me, f"{HERE}/edit") | {"text": "Mine"}
        built.manage_mailings.update(ID, lambda present: replace(present, text="Theirs <b>"))
        answer = me.post(f"{HERE}/edit", mine)
        assert answer.status == 412
        assert "Theirs &lt;b&gt;" in answer.text
        shown = inputs(answer, "/edit")
        assert shown["text"] == "Mine"
        assert built.manage_mailings.get(ID).text == "Theirs <b>"
        assert me.post(f"{HERE}/edit", shown).status == 303
        assert built.manage_mailings.get(ID).text == "Mine"
        assert built.manage_mailings.get(ID).start_at == before.start_at

    def test_faults_and_a_preview_leave_it_as_it_is(self, api: Gateway, built: Application, stored: Storing) -> None:
        before = stored()
        me = visiting(api, built)
        shown = filled(me, f"{HERE}/edit")
        wrong = me.post(f"{HERE}/edit", shown | {"text": "", "end_at": "x"})
        assert wrong.status == 422
        assert set(faults(wrong)) == {"text", "end_at"}
        assert inputs(wrong, "/edit")["end_at"] == "x"
        assert me.post(f"{HERE}/edit", shown | {"text": "y", "do": "preview"}).status == 200
        assert built.manage_mailings.get(ID) == before


class TestDetail:
    def test_it_tells_how_it_goes(self, api: Gateway, built: Application, stored: Storing) -> None:
        stored(MailingStatus.RUNNING, rows=True)
        page = visiting(api, built, Role.VIEWER).look(HERE)
        assert page.status == 200, page.text
        assert "<p>3 of 5 messages are done.</p>" in page.text
        assert f'href="../mailings/{ID}/messages?status=failed" aria-label="failed: 2">2</a>' in page.text
        assert 'messages?status=failed&amp;reason=refused">refused by the provider: 2</a>' in page.text
        assert "http_&lt;b&gt;" in page.text
        assert re.search(r"<p>[0-9.]+ a second.</p>", page.text)
        assert "At this pace the last one is sent about" in page.text
        assert f'src="../mailings/{ID}/chart.svg?sent=1&amp;theme=light"' in page.text
        assert "chart.svg?sent=1&amp;theme=dark" in page.text
        for part in ("state", "progress", "chart", "minutes", "errors"):
            assert re.search(rf'id="{part}" data-live="5"', page.text)

    def test_what_goes_too_slowly_to_be_done_in_time_is_said(
        self, api: Gateway, built: Application, stored: Storing
    ) -> None:
        stored(MailingStatus.RUNNING, rows=True, end_at=utc_now() + timedelta(seconds=5))
        assert "the others will expire" in visiting(api, built).look(HERE).text

    def test_progress_of_planning_and_of_a_sweep_is_shown(
        self, api: Gateway, built: Application, stored: Storing
    ) -> None:
        stored(MailingStatus.RUNNING, rows=True)
        built.control_mailings.pause(ID)
        page = visiting(api, built).look(HERE).text
        assert "The audience is being read: 0 of 1 parts are done." in page
        assert "The messages are following the latest change: 0 of" in page

    @pytest.mark.parametrize(
        ("status", "said"),
        [
            (MailingStatus.DRAFT, "sent to nobody until it is started"),
            (MailingStatus.SCHEDULED, "It starts "),
            (MailingStatus.RUNNING, "There are no messages"),
        ],
    )
    def test_without_messages_it_says_why(
        self, api: Gateway, built: Application, stored: Storing, status: MailingStatus, said: str
    ) -> None:
        stored(status)
        assert said in visiting(api, built).look(HERE).text

    @pytest.mark.parametrize(
        ("status", "actions"),
        [
            (MailingStatus.DRAFT, ["start", "cancel", "delete"]),
            (MailingStatus.SCHEDULED, ["cancel", "delete"]),
            (MailingStatus.RUNNING, ["pause", "retry", "cancel", "delete"]),
            (MailingStatus.PAUSED, ["resume", "cancel", "delete"]),
            (MailingStatus.FINISHED, ["retry", "delete"]),
            (MailingStatus.CANCELLED, ["delete"]),
        ],
    )
    def test_what_state_and_role_allow_is_offered(
        self, api: Gateway, built: Application, stored: Storing, status: MailingStatus, actions: list[str]
    ) -> None:
        stored(status, rows=True)

        def offered(role: Role) -> list[str]:
            page = visiting(api, built, role).look(HERE).text
            return re.findall(rf'class="button[^"]*" href="../mailings/{ID}/([a-z]+)"', page)

        changeable = status not in {MailingStatus.FINISHED, MailingStatus.CANCELLED}
        first = [action for action in actions if action not in {"cancel", "delete"}]
        last = [action for action in actions if action in {"cancel", "delete"}]  # what cannot be undone
        assert offered(Role.SENDER) == [*(["edit"] if changeable else []), *first, "test", "duplicate", *last]
        assert offered(Role.EDITOR) == [*(["edit"] if status is MailingStatus.DRAFT else []), "duplicate"]
        assert offered(Role.VIEWER) == []

    def test_a_chart_is_a_picture_of_its_own(self, api: Gateway, built: Application, stored: Storing) -> None:
        stored(MailingStatus.RUNNING, rows=True)
        for theme in ("light", "dark"):
            chart = visiting(api, built, Role.VIEWER).look(f"{HERE}/chart.svg?sent=1&theme={theme}")
            assert (chart.status, chart.headers["Content-Type"]) == (200, "image/svg+xml")
            assert "unsafe" not in chart.headers["Content-Security-Policy"]
            assert chart.text.startswith("<svg")
        assert visiting(api, built).look(f"{HERE}/chart.svg?theme=red").status == 422

    @pytest.mark.parametrize("path", ["", "/edit", "/duplicate", "/chart.svg", "/start", "/delete", "/test"])
    @pytest.mark.parametrize("id_", [ulid(404), "x", "process"])
    def test_an_id_of_no_mailing_is_not_found(self, api: Gateway, built: Application, path: str, id_: str) -> None:
        assert visiting(api, built).look(f"mailings/{id_}{path}").status == 404


class TestActions:
    @pytest.mark.parametrize(
        ("action", "before", "after", "effect"),
        [
            ("start", MailingStatus.DRAFT, MailingStatus.SCHEDULED, "it starts at once. Sends 1 message."),
            ("pause", MailingStatus.RUNNING, MailingStatus.PAUSED, "Holds 2 unsent messages until"),
            ("resume", MailingStatus.PAUSED, MailingStatus.RUNNING, "Goes on to send 2 messages;"),
            ("retry", MailingStatus.FINISHED, MailingStatus.RUNNING, "Queues 2 failed messages again."),
            (
                "cancel",
                MailingStatus.RUNNING,
                MailingStatus.CANCELLED,
                "Stops 2 unsent messages for good. 1 message was",
            ),
            ("cancel", MailingStatus.DRAFT, MailingStatus.CANCELLED, "It will never start"),
        ],
    )
    def test_the_effect_is_named_and_then_happens(
        self,
        api: Gateway,
        built: Application,
        stored: Storing,
        action: str,
        before: MailingStatus,
        after: MailingStatus,
        effect: str,
    ) -> None:
        built.clients.create(client())
        stored(before, rows=before is not MailingStatus.DRAFT)
        me = visiting(api, built, Role.SENDER)
        page = me.look(f"{HERE}/{action}")
        assert page.status == 200, page.text
        assert effect in " ".join(re.findall(r'<p class="effect">(.*?)</p>', page.text))
        assert built.manage_mailings.get(ID).status is before
        answer = me.post(f"{HERE}/{action}", inputs(page, f"/{action}"))
        assert answer.status == 303, answer.text
        assert answer.headers["Location"].startswith(f"../../mailings/{ID}?notice=")
        assert built.manage_mailings.get(ID).status is after
        assert me.look(f"{HERE}?{answer.headers['Location'].partition('?')[2]}").text.count('role="status"') == 1
        assert me.post(f"{HERE}/{action}", inputs(page, f"/{action}")).status == (303 if action == "retry" else 409)

    def test_a_deleted_mailing_is_gone(self, api: Gateway, built: Application, stored: Storing) -> None:
        stored(MailingStatus.RUNNING, rows=True)
        me = visiting(api, built, Role.SENDER)
        page = me.look(f"{HERE}/delete")
        assert "its 5 messages out of all lists" in page.text
        answer = me.post(f"{HERE}/delete", inputs(page, "/delete"))
        assert answer.headers["Location"] == "../../mailings?notice=deleted"
        assert me.look(HERE).status == 404

    @pytest.mark.parametrize("action", ["start", "pause", "resume", "retry", "cancel", "delete", "test"])
    @pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
    def test_nobody_else_does_it(
        self, api: Gateway, built: Application, stored: Storing, action: str, role: Role
    ) -> None:
        before = stored(MailingStatus.RUNNING)
        me = visiting(api, built, role)
        assert me.look(f"{HERE}/{action}").status == 403
        assert me.post(f"{HERE}/{action}").status == 403
        assert visiting(api, built).post(f"{HERE}/{action}", {"csrf": ""}).status == 403
        assert built.manage_mailings.get(ID) == before

    def test_what_is_not_possible_is_not_asked(self, api: Gateway, built: Application, stored: Storing) -> None:
        stored(MailingStatus.PAUSED, end_at=utc_now() - timedelta(minutes=1))
        for action in ("start", "pause", "resume", "retry"):
            assert visiting(api, built).look(f"{HERE}/{action}").status == 409


class TestTest:
    def test_it_goes_to_one_client_once(self, api: Gateway, built: Application, stored: Storing) -> None:
        stored()
        built.clients.create(client())
        me = visiting(api, built, Role.SENDER)
        fields = inputs(me.look(f"{HERE}/test"), "/test") | {"phone": "79161234567"}
        first, second = (me.post(f"{HERE}/test", fields) for _ in range(2))
        assert first.status == 303, first.text
        assert re.fullmatch(r"\.\./\.\./messages/[0-9]+", first.headers["Location"])
        assert second.headers["Location"] == first.headers["Location"]

    @pytest.mark.parametrize(
        ("phone", "said"),
        [("123", "must be a phone"), ("79990000000", "no client has"), ("79161234567", "the client opted out")],
    )
    def test_whom_it_cannot_go_to_is_said(
        self, api: Gateway, built: Application, stored: Storing, phone: str, said: str
    ) -> None:
        stored()
        built.clients.create(client())
        built.suppress_phones.one("79161234567")
        me = visiting(api, built, Role.SENDER)
        fields = inputs(me.look(f"{HERE}/test"), "/test") | {"phone": phone}
        answer = me.post(f"{HERE}/test", fields)
        assert answer.status == 422
        assert said in faults(answer)["phone"]
        assert inputs(answer, "/test")["phone"] == phone


def test_no_text_becomes_markup(api: Gateway, built: Application, stored: Storing) -> None:
    stored(MailingStatus.RUNNING, rows=True, text=XSS, filter=AudienceFilter((), (XSS[:64],)))
    built.clients.create(client(tag=XSS[:64], timezone=XSS))
    me = visiting(api, built)
    shown = filled(me, f"{HERE}/edit")
    wrong = {name: XSS for name in shown if name not in {"csrf", "key"}} | {"do": "draft"}
    preview = filled(me) | {"text": XSS, "tags": XSS[:64]}
    pages = [
        *(me.look(f"{HERE}{path}") for path in ("", "/edit", "/duplicate", "/cancel", "/delete", "/test")),
        me.look("mailings"),
        me.look("mailings?q=%22%27%3E%3Cscript%3Ealert(1)%3C/script%3E"),
        me.post("mailings/new", filled(me) | wrong),
        me.post(f"{HERE}/edit", shown | wrong),
        me.post(f"{HERE}/edit", shown | {"tag": XSS}),
        me.post("mailings/preview", preview),
        me.post("mailings/preview", filled(me) | wrong),
        me.post(f"{HERE}/test", inputs(me.look(f"{HERE}/test"), "/test") | {"phone": XSS}),
    ]
    for page in pages:
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "&lt;script&gt;alert" in page.text
        assert "49" not in re.findall(r"<h1>(.*?)</h1>", page.text)[0]
