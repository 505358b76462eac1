"""Somebody at the administrator's pages, and what they read there."""

from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import urlencode

from chalicelib.admin.pages import FORM, SESSION_COOKIE, SESSIONS
from chalicelib.admin.roles import Role
from chalicelib.admin.session import Session, seal_session
from chalicelib.bootstrap import Application
from tests.gateway import Answer, Gateway


class Visitor:
    """Somebody of a role, who looks at pages and sends their forms."""

    def __init__(self, api: Gateway, built: Application, role: Role, host: str = "localhost:4566") -> None:
        self._api = replace(api, token=None)
        session = Session.begin("user|1", "Ada", role, built.clock())
        sealed = seal_session(session, built.derived_key(SESSIONS))
        self._csrf = session.csrf
        # Where there is TLS the cookie has the prefix that browsers guard.
        cookies = f"{SESSION_COOKIE}={sealed}; __Host-{SESSION_COOKIE}={sealed}"
        self._headers = {"cookie": cookies, "host": host}

    def look(self, path: str) -> Answer:
        return self._api("GET", f"/admin/{path}", headers=self._headers)

    def post(self, path: str, fields: Mapping[str, str] | None = None, *, csrf: str | None = None) -> Answer:
        content = urlencode({"csrf": self._csrf if csrf is None else csrf, **(fields or {})})
        headers = self._headers | {"content-type": FORM}
        return self._api("POST", f"/admin/{path}", raw=content, headers=headers)


class Read(HTMLParser):
    """What a page is made of: its tags, with what they say of themselves, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"

    def of(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        """Find the tags of a name that say all of this."""
        return [found for name, found in self.tags if name == tag and attributes.items() <= found.items()]
