"""A browser without a screen: cookies, addresses and forms of the pages, over the API's gateway."""

from dataclasses import dataclass, field, replace
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from tests.gateway import Answer, Gateway

TIMEOUT_SECONDS = 10


@dataclass
class Visitor:
    """Whoever looks at the pages. `host`: by what name they know the server."""

    api: Gateway
    host: str = "127.0.0.1:4566"
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> Answer:
        return self._ask("GET", path)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        return self._ask("POST", path, urlencode(fields), **headers)

    def _ask(self, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
        sent = {"host": self.host, "cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body is not None:
            sent["content-type"] = "application/x-www-form-urlencoded"
        answer = replace(self.api, token=None)(
            method,
            f"/admin/{path}",
            raw=body.encode() if body is not None else None,
            headers=sent | headers,
            route=None if path else "/admin",
        )
        for cookie in answer.cookies:
            for name, morsel in SimpleCookie(cookie).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return answer


def query_of(url: str) -> dict[str, str]:
    """Read the query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


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
