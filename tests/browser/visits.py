"""The administrator's pages in a real browser, as somebody of a role, logged in at the development issuer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect

from chalicelib.admin.roles import Role
from tests.browser.watched import PATIENCE_MS, Watched, watched
from tests.running_stack import RunningStack, poll

WIDE, PHONE = 1280, 360


def log_in(page: Page, user: str) -> None:
    """Fill in the development issuer's form, which is shown; the password of each user is the name."""
    expect(page.get_by_label("User")).to_be_visible()
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(user)
    page.get_by_role("button", name="Log in").click()


@dataclass
class Visits:
    """Visits to the pages of one stack; each role logs in once, and its cookies serve all its visits."""

    browser: Browser
    stack: RunningStack
    _states: dict[Role, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The pages' own address; it ends with a slash."""
        return str(self.stack.info.admin_url)

    @contextmanager
    def visit(
        self,
        path: str = "",
        *,
        role: Role | None = Role.ADMIN,
        width: int = WIDE,
        language: str = "en",
        theme: Literal["light", "dark"] = "light",
        zone: str = "Europe/Moscow",
        script: bool = True,
    ) -> Iterator[Watched]:
        """Open a page. Without a role nobody is logged in; without script the browser runs none."""
        options = {
            "locale": language,
            "timezone_id": zone,
            "color_scheme": theme,
            "java_script_enabled": script,
            "storage_state": self._state(role, zone) if role else None,
        }
        with watched(self.browser, width, **options) as seen:
            seen.page.goto(f"{self.address}{path}")
            if role:
                expect(seen.page.get_by_role("banner").get_by_role("link", name="Vestnik")).to_be_visible()
            yield seen

    def path_of(self, page: Page) -> str:
        """Say where a page is, seen from the pages' own address."""
        parts = urlsplit(page.url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return path.removeprefix(urlsplit(self.address).path)

    def _state(self, role: Role, zone: str) -> Any:  # noqa: ANN401 - as playwright has it
        if role not in self._states:
            with watched(self.browser, WIDE) as seen:
                seen.page.goto(self.address)
                log_in(seen.page, role.value)
                expect(seen.page.get_by_role("heading", level=1)).to_be_visible()
                assert seen.page.url.startswith(self.address), seen.page.url
                poll(seen.page.context.cookies, until=_has_zone, deadline_seconds=PATIENCE_MS / 1000)
                self._states[role] = seen.page.context.storage_state()
        # The login's browser may have been in another zone, which a cookie keeps.
        kept = self._states[role]
        cookies = [cookie | {"value": zone} if cookie["name"] == "zone" else cookie for cookie in kept["cookies"]]
        return kept | {"cookies": cookies}


def _has_zone(cookies: Sequence[Any]) -> bool:
    return any(cookie["name"] == "zone" for cookie in cookies)
