from dataclasses import replace

import pytest

from chalicelib.admin.pages import SESSION_COOKIE, SESSIONS
from chalicelib.admin.roles import Role
from chalicelib.admin.session import Session, seal_session
from chalicelib.bootstrap import Application
from tests.gateway import Answer, Gateway


def visiting(built: Application, role: Role = Role.ADMIN, **headers: str) -> dict[str, str]:
    """Make the headers of a browser that is logged in."""
    session = Session.begin("user|1", "Ada", role, built.clock())
    sealed = seal_session(session, built.derived_key(SESSIONS))
    return {"cookie": f"{SESSION_COOKIE}={sealed}", **headers}


def look(api: Gateway, path: str, headers: dict[str, str] | None = None) -> Answer:
    route = "/admin" if path == "/admin/" else None  # API Gateway passes over a slash at the end
    return replace(api, token=None)("GET", path, headers=headers, route=route)


def test_without_a_session_one_is_sent_to_log_in_and_comes_back(api: Gateway) -> None:
    answer = look(api, "/admin/")
    assert (answer.status, answer.headers["Location"]) == (303, "./login?back=")


def test_a_page_is_shown_in_the_readers_language(api: Gateway, built: Application) -> None:
    english = look(api, "/admin/", visiting(built))
    russian = look(api, "/admin/", visiting(built, Role.ADMIN, **{"accept-language": "ru-RU, en;q=0.5"}))
    assert (english.status, russian.status) == (200, 200)
    assert "<h1>Dashboard</h1>" in english.text
    assert "<h1>Обзор</h1>" in russian.text
    assert english.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "unsafe" not in english.headers["Content-Security-Policy"]


@pytest.mark.parametrize("file", ["app.css", "app.js", "icon.svg"])
def test_static_files_are_there(api: Gateway, file: str) -> None:
    assert look(api, f"/admin/static/{file}").status == 200
    assert look(api, "/admin/static/pages.py").status == 404
