"""`/docs/` as somebody uses it who has an address, a token and a browser."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.watched import Watched, watched
from tests.running_stack import RunningStack

PHONE = {1280: "79990000001", 360: "79990000002"}


@dataclass
class Docs:
    """The page, and what one does there."""

    watched: Watched

    def operation(self, tag: str, name: str) -> Locator:
        return self.watched.page.locator(f"#operations-{tag}-{name}")

    def authorize(self, token: str) -> None:
        self.watched.page.locator(".btn.authorize").first.click()
        self.watched.page.get_by_label("auth-bearer-value").fill(token)
        self.watched.page.get_by_role("button", name="Apply credentials").click()
        self.watched.page.get_by_role("button", name="Close").click()

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
def docs(request: pytest.FixtureRequest, browser: Browser, stack: RunningStack) -> Iterator[Docs]:
    with watched(browser, request.param) as seen:
        seen.page.goto(str(stack.info.docs_url).removesuffix("/"))
        expect(seen.page.locator(".opblock").first).to_be_visible()
        yield Docs(seen)


def test_a_token_is_all_that_is_needed_to_call_the_stack_from_the_page(docs: Docs, stack: RunningStack) -> None:
    docs.authorize(stack.token)

    created, client = docs.tried(
        docs.operation("clients", "create_client"), {"phone": PHONE[docs.watched.width], "timezone": "Europe/Moscow"}
    )
    listed, page = docs.tried(docs.operation("clients", "list_clients"))

    assert (created, client["phone"]) == (201, PHONE[docs.watched.width])
    assert listed == 200
    assert client in page["items"]
    assert stack.request("GET", f"/clients/{client['id']}").json() == client
    assert docs.watched.complaints == []


def test_without_a_token_the_page_shows_the_problem(docs: Docs) -> None:
    status, problem = docs.tried(docs.operation("clients", "list_clients"))

    assert (status, problem["status"]) == (401, 401)


def test_the_page_asks_no_other_host_for_anything(docs: Docs, stack: RunningStack) -> None:
    hosts = {urlsplit(request.url).netloc for request in docs.watched.requests if not request.url.startswith("data:")}

    assert hosts == {urlsplit(stack.info.api_url).netloc}
    assert docs.watched.complaints == []


def test_the_page_fits_the_screen(docs: Docs) -> None:
    docs.operation("mailings", "create_mailing").locator(".opblock-summary-control").click()
    expect(docs.operation("mailings", "create_mailing").locator(".responses-table")).to_be_visible()

    assert docs.watched.page.evaluate("document.documentElement.scrollWidth") <= docs.watched.width
