import pytest

from chalicelib.admin.roles import Role
from chalicelib.bootstrap import Application
from chalicelib.errors import TransientError
from tests.gateway import Gateway
from tests.visitor import Visitor, visiting


def test_without_a_session_one_is_sent_to_log_in_and_comes_back(api: Gateway) -> None:
    answer = Visitor(api).look("")
    assert (answer.status, answer.headers["Location"]) == (303, "./login?back=")


def test_a_page_is_shown_in_the_readers_language(api: Gateway, built: Application) -> None:
    english = visiting(api, built).look("")
    russian = visiting(api, built, Role.ADMIN, language="ru-RU, en;q=0.5").look("")
    assert (english.status, russian.status) == (200, 200)
    assert "<h1>Dashboard</h1>" in english.text
    assert "<h1>Обзор</h1>" in russian.text
    assert english.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "unsafe" not in english.headers["Content-Security-Policy"]


def test_without_the_key_of_sessions_a_page_says_so_and_who_has_none_needs_no_key(
    api: Gateway, built: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody = visiting(api, built)

    def unreadable(*_: object, **__: object) -> str:
        raise TransientError("the secret cannot be read")

    monkeypatch.setattr(built.secrets, "get", unreadable)
    for path in ("", "login", "clients"):
        shown = somebody.look(path)
        assert (shown.status, "<h1>" in shown.text) == (503, True), path
    assert somebody.post("clients/new", {"phone": "79161234567"}).status == 503
    assert Visitor(api).look("").status == 303
    assert Visitor(api).look("static/app.css").status == 200


@pytest.mark.parametrize("file", ["app.css", "app.js", "icon.svg"])
def test_static_files_are_there(api: Gateway, file: str) -> None:
    assert Visitor(api).look(f"static/{file}").status == 200
    assert Visitor(api).look("static/pages.py").status == 404


def test_only_what_may_be_read_again_names_the_zone_for_which_the_browser_reads_it_again(
    api: Gateway, built: Application
) -> None:
    somebody = visiting(api, built)
    assert 'data-zone="UTC"' in somebody.look("clients/new").text
    assert "data-zone" not in somebody.post("clients/new").text
