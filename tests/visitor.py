"""Somebody at the administrator's pages, by a browser without a screen: addresses, cookies, forms."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import unescape
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from chalicelib.admin.pages import FORM, SESSION_COOKIE, SESSIONS
from chalicelib.admin.roles import Role
from chalicelib.admin.session import Session, seal_session
from chalicelib.bootstrap import Application
from tests.gateway import Answer, Gateway

TIMEOUT_SECONDS = 10


@dataclass
class Visitor:
    """Whoever looks at the pages; paths are relative to the pages' own address.

    Attributes:
        host: by what name they know the server.
        language: `Accept-Language`.
        csrf: of their session; None: they have none, and their forms no such field.
    """

    api: Gateway
    host: str = "127.0.0.1:4566"
    cookies: dict[str, str] = field(default_factory=dict)
    language: str = ""
    csrf: str | None = None

    def look(self, path: str) -> Answer:
        return self._ask("GET", path)

    def post(self, path: str, fields: Mapping[str, str] | None = None, **headers: str) -> Answer:
        """Send a form, with the session's token unless `fields` have another."""
        token = {} if self.csrf is None else {"csrf": self.csrf}
        return self._ask("POST", path, urlencode(token | dict(fields or {})), **{"content-type": FORM}, **headers)

    def _ask(self, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"host": self.host, "cookie": cookies, "accept-language": self.language}
        answer = replace(self.api, token=None)(
            method,
            f"/admin/{path}",
            raw=body,
            headers=sent | headers,
        )
        for cookie in answer.cookies:
            for name, morsel in SimpleCookie(cookie).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return answer


def visiting(
    api: Gateway,
    built: Application,
    role: Role = Role.ADMIN,
    *,
    host: str = "127.0.0.1:4566",
    language: str = "",
    zone: str = "UTC",
    key: bytes | None = None,
) -> Visitor:
    """Make a visitor who has logged in; `key` seals sessions, None: ask the application for it."""
    session = Session.begin("user|1", "Ada", role, built.clock())
    sealed = seal_session(session, key or built.derived_key(SESSIONS))
    # Where there is TLS the cookie has the prefix that browsers guard.
    cookies = {SESSION_COOKIE: sealed, f"__Host-{SESSION_COOKIE}": sealed, "zone": zone}
    return Visitor(api, host, cookies, language, session.csrf)


def log_in_at(issuer_address: str, user: str) -> str:
    """Fill in the development issuer's form; returns where it sends the browser."""
    with requests.Session() as browser:
        browser.trust_env = False
        assert "Log in" in browser.get(issuer_address, timeout=TIMEOUT_SECONDS).text
        answer = browser.post(
            issuer_address, data={"username": user, "password": user}, allow_redirects=False, timeout=TIMEOUT_SECONDS
        )
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def query_of(url: str) -> dict[str, str]:
    """Read the query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def inputs(page: Answer, form: str) -> dict[str, str]:
    """Read what stands in the form that is sent to an address that ends so; of buttons nothing."""
    (inner,) = re.findall(rf'<form[^>]*action="[^"]*{re.escape(form)}"[^>]*>(.*?)</form>', page.text, re.DOTALL)
    found = {}
    for tag in re.findall(r"<input[^>]*>", inner):
        found[_attribute(tag, "name")] = _attribute(tag, "value")
    for opened, content in re.findall(r"(<textarea[^>]*>)\n(.*?)</textarea>", inner, re.DOTALL):
        found[_attribute(opened, "name")] = unescape(content)
    for opened, content in re.findall(r"(<select[^>]*>)(.*?)</select>", inner, re.DOTALL):
        chosen = re.findall(r'<option value="([^"]*)" selected>', content)
        found[_attribute(opened, "name")] = unescape((chosen or re.findall(r'<option value="([^"]*)"', content))[0])
    return found


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return unescape(found[1]) if found else ""


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
