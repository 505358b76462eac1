"""What somebody ill-disposed tries: scripts in every text, forms of other pages, actions above one's role."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from playwright.sync_api import APIResponse, Dialog, FilePayload, Page, Route, expect

from chalicelib.admin.roles import Role
from probe import free_port
from tests.browser.visits import Visits, log_in
from tests.browser.watched import Watched
from tests.e2e.steps import create_mailing, finished, phones
from tests.running_stack import RunningStack

XSS = """"'><img src=x onerror="window.hacked=1;alert(1)"><script>window.hacked=1</script>{{7*7}}"""
SHORT = "'\"><svg onload=alert(1)>"  # what fits into a tag
STATUS = re.compile("^error: Failed to load resource: the server responded with a status of 4")


def csrf_of(page: Page) -> str:
    return page.locator("form[action$=logout] input[name=csrf]").get_attribute("value") or ""


def post(visits: Visits, seen: Watched, path: str, fields: Mapping[str, str]) -> APIResponse:
    """Send a form that no page offered, with the cookies of who looks."""
    return seen.page.context.request.post(f"{visits.address}{path}", form=dict(fields), max_redirects=0)


def status_of(stack: RunningStack, mailing_id: str) -> str:
    return str(stack.request("GET", f"/mailings/{mailing_id}").json()["status"])


@contextmanager
def harmless(seen: Watched) -> Iterator[None]:
    """Fail if a script that somebody brought in runs in the meantime, or its policy had to stop one."""
    dialogs: list[str] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    seen.page.on("dialog", note)
    yield
    assert dialogs == []
    assert seen.page.evaluate("window.hacked") is None
    assert [each for each in seen.complaints if not STATUS.search(each)] == []


@pytest.fixture(scope="module")
def draft(stack: RunningStack) -> str:
    """A draft for nobody, whose text and tag are payloads."""
    return create_mailing(stack, SHORT, text=XSS, draft=True)


@pytest.fixture(scope="module")
def client(stack: RunningStack) -> str:
    body = {"phone": next(phones), "timezone": "Europe/Moscow", "tag": SHORT}
    return str(stack.request("POST", "/clients", body).json()["id"])


def test_what_was_stored_is_shown_as_text(visits: Visits, stack: RunningStack, draft: str, client: str) -> None:
    stack.control(status=400, body=XSS)
    try:
        failed = create_mailing(stack, SHORT, text=XSS)
        finished(stack, failed)
    finally:
        stack.control()
    message = stack.request("GET", f"/mailings/{failed}/messages").json()["items"][0]["id"]
    with visits.visit() as seen, harmless(seen):
        page = seen.page
        for path in ("", "mailings", f"mailings/{failed}", f"mailings/{failed}/retry", f"mailings/{draft}/test"):
            page.goto(f"{visits.address}{path}")
            if path:
                expect(page.get_by_role("main").get_by_text("<img src=x").first).to_be_visible()
        for path in (f"mailings/{draft}", f"mailings/{draft}/edit", f"mailings/{draft}/duplicate", "clients"):
            page.goto(f"{visits.address}{path}")
            expect(page.get_by_role("main")).to_contain_text(SHORT)
        for path in (f"clients/{client}", f"clients/{client}/edit", f"messages/{message}", "audit"):
            page.goto(f"{visits.address}{path}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.locator("main svg, main img:not(.chart), main script").count() == 0


def test_what_stands_in_an_address_is_shown_as_text(visits: Visits) -> None:
    payload = quote(SHORT, safe="")
    with visits.visit() as seen, harmless(seen):
        for path in (
            f"?notice={payload}",
            f"?{payload}=1",
            f"search?q={payload}",
            f"mailings?q={payload}",
            f"mailings?status={payload}",
            f"mailings?cursor={payload}",
            f"mailings/{payload}",
            f"clients?phone={payload}&operator_code={payload}&tag={payload}",
            f"suppressions?phone={payload}",
            f"audit?subject={payload}&target={payload}&action={payload}",
            f"dead-letters?queue={payload}",
            f"dead-letters/redrive?id={payload}",
            f"preferences?notice={payload}",
        ):
            seen.page.goto(f"{visits.address}{path}")
            expect(seen.page.get_by_role("main")).to_be_visible()
            assert seen.page.locator("main svg, main script").count() == 0, path


def test_what_is_typed_is_shown_as_text(visits: Visits) -> None:
    with visits.visit("mailings/new", role=Role.EDITOR) as seen, harmless(seen):
        page = seen.page
        page.get_by_label("Text").fill(XSS)
        page.get_by_label("Only operator codes").fill(SHORT.replace(" ", ""))
        page.get_by_label("Only tags").fill(SHORT)
        expect(page.locator("#preview")).to_contain_text("onload=alert")
        page.get_by_role("button", name="Save as draft").click()
        expect(page.locator("#operator_codes-fault")).to_contain_text("onload=alert")
        page.goto(f"{visits.address}clients/new")
        for name in ("Phone", "Time zone", "Operator code", "Tag"):
            page.get_by_label(name).fill(SHORT)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_label("Tag")).to_have_value(SHORT)


def test_a_file_with_an_evil_name_and_evil_rows_is_only_a_file(visits: Visits) -> None:
    with visits.visit("clients/import", role=Role.EDITOR) as seen, harmless(seen):
        page = seen.page
        page.get_by_role("button", name="Choose a file").click()
        content = f'phone,timezone,tag\n"{XSS.replace(chr(34), chr(34) * 2)}",Europe/Moscow,x\n'.encode()
        evil = FilePayload(name="<img src=x onerror=alert(1)>.csv", mimeType="text/csv", buffer=content)
        page.get_by_label("CSV file").set_input_files(evil)
        page.get_by_role("button", name="Upload and import").click()
        expect(page.get_by_role("region", name="Refused rows").locator("tbody tr")).to_have_count(1, timeout=60_000)


@pytest.mark.parametrize("token", ["", "made-up", "of another session"])
def test_a_form_without_the_sessions_own_token_changes_nothing(
    visits: Visits, stack: RunningStack, draft: str, token: str
) -> None:
    if token == "of another session":
        with visits.visit(role=None) as other:
            log_in(other.page, "sender")
            expect(other.page.get_by_role("heading", level=1)).to_have_text("Dashboard")
            token = csrf_of(other.page)
    with visits.visit(role=Role.SENDER) as seen:
        for action in ("start", "cancel", "delete"):
            assert post(visits, seen, f"mailings/{draft}/{action}", {"csrf": token}).status == 403
        assert post(visits, seen, f"mailings/{draft}/cancel", {}).status == 403
    assert status_of(stack, draft) == "draft"


@pytest.mark.parametrize(
    ("host", "heading"), [("127.0.0.1", "403 Forbidden"), ("evil.test", "Log in")], ids=["same site", "other site"]
)
def test_a_form_of_a_page_elsewhere_changes_nothing(
    visits: Visits, stack: RunningStack, draft: str, host: str, heading: str
) -> None:
    """To another site's form the browser gives no session; to a page on another port of this host it does."""
    elsewhere = f"http://{host}:{free_port()}/"
    html = f'<form method="post" action="{visits.address}mailings/{draft}/cancel"><button>Win</button></form>'
    with visits.visit(role=Role.SENDER) as seen:
        seen.page.route(f"{elsewhere}**", lambda route: page_of(route, html))
        seen.page.goto(elsewhere)
        seen.page.get_by_role("button", name="Win").click()
        expect(seen.page.get_by_role("heading", level=1)).to_have_text(heading)
    assert status_of(stack, draft) == "draft"


def page_of(route: Route, html: str) -> None:
    route.fulfill(status=200, content_type="text/html", body=html)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
def test_who_may_not_send_finds_no_way_to(visits: Visits, stack: RunningStack, draft: str, role: Role) -> None:
    with visits.visit(f"mailings/{draft}", role=role) as seen:
        page = seen.page
        for name in ("Start", "Cancel", "Send a test", "Delete"):
            expect(page.get_by_role("main").get_by_role("link", name=name)).to_have_count(0)
        for action in ("start", "cancel", "delete", "test"):
            page.goto(f"{visits.address}mailings/{draft}/{action}")
            expect(page.get_by_role("heading", level=1)).to_have_text("403 Forbidden")
            expect(page.get_by_text("this needs the role sender")).to_be_visible()
            assert post(visits, seen, f"mailings/{draft}/{action}", {"csrf": csrf_of(page)}).status == 403
        create = {"csrf": csrf_of(page), "text": "x", "do": "start"}
        assert post(visits, seen, "mailings/new", create).status == 403
    assert status_of(stack, draft) == "draft"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR, Role.SENDER])
def test_who_is_no_administrator_finds_no_way_to_the_trail_or_the_dead_letters(visits: Visits, role: Role) -> None:
    with visits.visit(role=role) as seen:
        for path in ("audit", "dead-letters", "dead-letters/redrive"):
            seen.page.goto(f"{visits.address}{path}")
            expect(seen.page.get_by_role("heading", level=1)).to_have_text("403 Forbidden")
        assert post(visits, seen, "dead-letters/redrive", {"csrf": csrf_of(seen.page)}).status == 403


@pytest.mark.parametrize("back", ["//evil.test", "/\\evil.test"])
def test_a_login_leads_nowhere_else(visits: Visits, back: str) -> None:
    with visits.visit(f"login?back={quote(back, safe='')}", role=None) as seen:
        log_in(seen.page, "viewer")
        expect(seen.page.get_by_role("heading", level=1)).to_have_text("Dashboard")
        assert seen.page.url == visits.address


def test_no_page_elsewhere_can_frame_these(visits: Visits) -> None:
    elsewhere = f"http://127.0.0.1:{free_port()}/"
    with visits.visit() as seen:
        answer = seen.page.context.request.get(visits.address)
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        html = f'<iframe src="{visits.address}"></iframe>'
        seen.page.route(f"{elsewhere}**", lambda route: page_of(route, html))
        seen.page.goto(elsewhere)
        assert [frame.url for frame in seen.page.frames[1:]] == ["chrome-error://chromewebdata/"]
