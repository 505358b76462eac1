"""A page of a real browser, and what it complained about and asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request

PATIENCE_MS = 60_000
HEIGHT = 800


@dataclass
class Watched:
    """A page, and what it complained about (console, errors, its own policy) and asked for."""

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


@contextmanager
def watched(browser: Browser, width: int, **context_options: Any) -> Iterator[Watched]:  # noqa: ANN401 - playwright's
    """Open a page in a browser context of its own."""
    with browser.new_context(viewport={"width": width, "height": HEIGHT}, **context_options) as context:
        context.set_default_timeout(PATIENCE_MS)
        seen = Watched(context.new_page(), width)
        seen.page.on("console", seen.note_message)
        seen.page.on("pageerror", seen.note_error)
        seen.page.on("request", seen.note_request)
        yield seen
