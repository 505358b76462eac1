"""The administrator's pages, as the browser of somebody who is logged in asks for them."""

from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import urlencode

from chalicelib.admin.pages import FORM, SESSION_COOKIE, SESSIONS
from chalicelib.admin.roles import Role
from chalicelib.admin.session import Session, seal_session
from chalicelib.bootstrap import Application
from tests.gateway import Answer, Gateway


def visiting(built: Application, role: Role = Role.ADMIN, /, **headers: str) -> dict[str, str]:
    """Make the headers of a browser that is logged in."""
    return _headers(built, _session(built, role)) | headers


def look(api: Gateway, path: str, headers: dict[str, str] | None = None) -> Answer:
    route = "/admin" if path == "/admin/" else None  # API Gateway passes over a slash at the end
    return replace(api, token=None)("GET", path, headers=headers, route=route)


class Visitor:
    """Somebody of a role, who looks at pages and sends their forms."""

    def __init__(self, api: Gateway, built: Application, role: Role, host: str = "localhost:4566") -> None:
        self._api = replace(api, token=None)
        session = _session(built, role)
        self._csrf = session.csrf
        self._headers = _headers(built, session) | {"host": host}

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


def _session(built: Application, role: Role) -> Session:
    return Session.begin("user|1", "Ada", role, built.clock())


def _headers(built: Application, session: Session) -> dict[str, str]:
    return {"cookie": f"{SESSION_COOKIE}={seal_session(session, built.derived_key(SESSIONS))}"}
