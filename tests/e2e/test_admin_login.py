"""Logins on the packaged application, over real HTTP, by the development issuer's form; without a browser."""

import re
from html import unescape
from urllib.parse import urljoin

import pytest
import requests

from local_issuer.people import USERS
from tests.running_stack import RunningStack

TIMEOUT_SECONDS = 30


def log_in(stack: RunningStack, user: str, page: str = "") -> tuple[requests.Session, requests.Response]:
    """Open a page without a session, follow to the issuer's form, fill it in, and follow back."""
    browser = requests.Session()
    browser.trust_env = False  # no proxy stands between two programs on loopback
    form = browser.get(f"{stack.info.admin_url}{page}", timeout=TIMEOUT_SECONDS)
    assert form.url.startswith(stack.info.issuer_url), form.url
    (action,) = re.findall(r'<form method="post" action="([^"]*)"', form.text)
    filled = {"username": user, "password": user}
    return browser, browser.post(urljoin(form.url, unescape(action)), data=filled, timeout=TIMEOUT_SECONDS)


@pytest.mark.parametrize("user", USERS)
def test_users_log_in_and_come_back_to_where_they_were(stack: RunningStack, user: str) -> None:
    browser, page = log_in(stack, user)
    with browser:
        assert (page.status_code, page.url) == (200, stack.info.admin_url)
        assert USERS[user].name in page.text


def test_an_admin_reads_the_trail_and_logs_out(stack: RunningStack) -> None:
    browser, page = log_in(stack, "admin", "audit?subject=nobody")
    with browser:
        assert page.url == f"{stack.info.admin_url}audit?subject=nobody"
        (csrf, *_) = re.findall(r'name="csrf" value="([^"]+)"', page.text)
        without = browser.post(f"{stack.info.admin_url}logout", data={"csrf": ""}, timeout=TIMEOUT_SECONDS)
        assert without.status_code == 403

        left = browser.post(f"{stack.info.admin_url}logout", data={"csrf": csrf}, timeout=TIMEOUT_SECONDS)
        out = browser.get(left.headers["Refresh"].removeprefix("0; url="), timeout=TIMEOUT_SECONDS)

        assert out.url == f"{stack.info.admin_url}logged-out"
        again = browser.get(stack.info.admin_url or "", timeout=TIMEOUT_SECONDS)
        assert again.url.startswith(stack.info.issuer_url)  # the issuer asks anew, too
        assert 'name="password"' in again.text


def test_whoever_is_no_admin_may_not_read_the_trail(stack: RunningStack) -> None:
    browser, page = log_in(stack, "sender", "audit")
    browser.close()
    assert page.status_code == 403


def test_changes_by_the_api_stand_in_the_trail(stack: RunningStack) -> None:
    client = stack.request("POST", "/clients", {"phone": "79990001122", "timezone": "Europe/Moscow"}).json()["id"]
    assert stack.request("DELETE", f"/clients/{client}").status_code == 204
    entries = stack.request("GET", f"/audit?target={client}").json()["items"]
    assert [(entry["action"], entry["outcome"]) for entry in entries] == [
        ("DELETE /clients/{client_id}", 204),
        ("POST /clients", 201),
    ]
