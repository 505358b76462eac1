"""`/docs/` as somebody uses it who has an address, a token and a browser."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, Request, expect

from tests.running_stack import RunningStack

PATIENCE_MS = 30_000
PHONE = {1280: "79990000001", 360: "79990000002"}


@dataclass
class Watched:
    """A page, and what it complained about and asked for."""

    page: Page
    width: int
    complaints: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def note_message(self, message: ConsoleMessage) -> None:
        self.complaints.append(f"{message.type}: {message.text}")

    def note_error(self, error: Error) -> None:
        self.complaints.append(str(error))

    def note_request(self, request: Request) -> None:
        self.requests.append(request)

    def operation(self, tag: str, name: str) -> Locator:
        return self.page.locator(f"#operations-{tag}-{name}")

    def authorize(self, token: str) -> None:
        self.page.locator(".btn.authorize").first.click()
        self.page.get_by_label("auth-bearer-value").fill(token)
        self.page.get_by_role("button", name="Apply credentials").click()
        self.page.get_by_role("button", name="Close").click()

    def tried(self, operation: Locator, body: object = None) -> tuple[int, Any]:
        """Try an operation out; return the status and the JSON of the answer that the page shows."""
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Try it out").click()
        if body is not None:
            operation.locator("textarea.body-param__text").fill(json.dumps(body))
        operation.get_by_role("button", name="Execute").click()
        answer = operation.locator(".live-responses-table")
        expect(answer).to_be_visible()
        status = int(answer.locator("tbody .response-col_status").first.inner_text().split()[0])
        return status, json.loads(answer.locator(".highlight-code code").first.inner_text())


@pytest.fixture(params=PHONE)
def docs(request: pytest.FixtureRequest, browser: Browser, stack: RunningStack) -> Iterator[Watched]:
    width: int = request.param
    with browser.new_context(viewport={"width": width, "height": 800}) as context:
        context.set_default_timeout(PATIENCE_MS)
        watched = Watched(context.new_page(), width)
        watched.page.on("console", watched.note_message)
        watched.page.on("pageerror", watched.note_error)
        watched.page.on("request", watched.note_request)
        watched.page.goto(str(stack.info.docs_url).removesuffix("/"))
        expect(watched.page.locator(".opblock").first).to_be_visible()
        yield watched


def test_a_token_is_all_that_is_needed_to_call_the_stack_from_the_page(docs: Watched, stack: RunningStack) -> None:
    docs.authorize(stack.token)

    created, client = docs.tried(
        docs.operation("clients", "create_client"), {"phone": PHONE[docs.width], "timezone": "Europe/Moscow"}
    )
    listed, page = docs.tried(docs.operation("clients", "list_clients"))

    assert (created, client["phone"]) == (201, PHONE[docs.width])
    assert listed == 200
    assert client in page["items"]
    assert stack.request("GET", f"/clients/{client['id']}").json() == client
    assert docs.complaints == []


def test_without_a_token_the_page_shows_the_problem(docs: Watched) -> None:
    status, problem = docs.tried(docs.operation("clients", "list_clients"))

    assert (status, problem["status"]) == (401, 401)


def test_the_page_asks_no_other_host_for_anything(docs: Watched, stack: RunningStack) -> None:
    hosts = {urlsplit(request.url).netloc for request in docs.requests if not request.url.startswith("data:")}

    assert hosts == {urlsplit(stack.info.api_url).netloc}
    assert docs.complaints == []


def test_the_page_fits_the_screen(docs: Watched) -> None:
    docs.operation("mailings", "create_mailing").locator(".opblock-summary-control").click()
    expect(docs.operation("mailings", "create_mailing").locator(".responses-table")).to_be_visible()

    assert docs.page.evaluate("document.documentElement.scrollWidth") <= docs.width
