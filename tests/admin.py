"""The administrator's pages as a browser meets them, without one."""

import re
from dataclasses import replace
from html import unescape
from urllib.parse import urlencode

from chalicelib.admin.pages import FORM, SESSION_COOKIE, SESSIONS
from chalicelib.admin.roles import Role
from chalicelib.admin.session import Session, seal_session
from chalicelib.bootstrap import Application
from tests.gateway import Answer, Gateway


def visiting(built: Application, role: Role = Role.ADMIN, **headers: str) -> dict[str, str]:
    """Make the headers of a browser that is logged in."""
    session = Session.begin("user|1", "Ada", role, built.clock())
    sealed = seal_session(session, built.derived_key(SESSIONS))
    cookies = headers.pop("cookie", "")
    return {"cookie": f"{SESSION_COOKIE}={sealed}; {cookies}", **headers}


def look(api: Gateway, path: str, headers: dict[str, str] | None = None) -> Answer:
    route = "/admin" if path == "/admin/" else None  # API Gateway passes over a slash at the end
    return replace(api, token=None)("GET", path, headers=headers, route=route)


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


def post(api: Gateway, path: str, fields: dict[str, str], headers: dict[str, str]) -> Answer:
    return replace(api, token=None)("POST", path, raw=urlencode(fields), headers={**headers, "content-type": FORM})


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return unescape(found[1]) if found else ""
