"""Logins over the development issuer, which is a process and speaks real HTTP."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any
from urllib.parse import quote

import pytest

from chalicelib.adapters.id_tokens import IdTokens
from chalicelib.adapters.issuer import Issuer
from chalicelib.adapters.issuer_keys import IssuerKeys
from chalicelib.adapters.logins import Logins
from chalicelib.admin.login import LOGINS
from chalicelib.admin.pages import SESSION_COOKIE, SESSIONS
from chalicelib.admin.roles import Role
from chalicelib.admin.session import LASTS, read_session, seal, unseal
from chalicelib.bootstrap import Application
from chalicelib.errors import RefusedTokenError
from tests.gateway import Answer, Gateway
from tests.local_issuer import RunningIssuer, running_issuer
from tests.visitor import Visitor, log_in_at, query_of

PAGES = "http://127.0.0.1:4566/api/admin/"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIssuer]:
    with running_issuer(tmp_path_factory.mktemp("issuer") / "memory.json") as running:
        yield running


@pytest.fixture
def visitor(built: Application, api: Gateway, issuer: RunningIssuer, monkeypatch: pytest.MonkeyPatch) -> Visitor:
    use(built, issuer.url, monkeypatch)
    return Visitor(api)


def use(built: Application, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have users log in at an issuer."""
    found = Issuer(url)
    tokens = IdTokens(IssuerKeys(found, lambda: 0.0), url, "vestnik-pages", 30, built.clock)
    monkeypatch.setitem(built.__dict__, "logins", Logins(found, tokens, "vestnik-pages", None))


def come_back(visitor: Visitor, user: str = "sender", back: str = "") -> str:
    """Log in at the issuer; returns the path of the callback, which nobody has called yet."""
    begun = visitor.look(f"login?back={back}")
    assert begun.status == 303, begun.text
    return log_in_at(begun.headers["Location"], user).removeprefix(PAGES)


def session_of(built: Application, visitor: Visitor) -> Any:  # noqa: ANN401 - a session or none
    sealed = visitor.cookies.get(SESSION_COOKIE)
    return read_session(sealed, built.derived_key(SESSIONS), built.clock()) if sealed else None


def assert_refused(answer: Answer, status: int, said: str, visitor: Visitor) -> None:
    assert (answer.status, SESSION_COOKIE in visitor.cookies) == (status, False)
    assert said in answer.text


@pytest.mark.parametrize("role", list(Role))
def test_each_user_of_the_development_issuer_comes_in_with_its_role(
    built: Application, visitor: Visitor, role: Role
) -> None:
    answer = visitor.look(come_back(visitor, role.value))
    assert (answer.status, answer.headers["Location"]) == (303, "./")
    assert session_of(built, visitor).role is role
    assert visitor.look("").status == 200


def test_one_comes_back_to_where_one_was(visitor: Visitor) -> None:
    sent = visitor.look("preferences?notice=saved")
    assert sent.status == 200
    to_login = visitor.look("").headers["Location"]
    assert to_login == "./login?back="
    answer = visitor.look(come_back(visitor, back="mailings%3Fstatus%3Drunning"))
    assert answer.headers["Location"] == "./mailings?status=running"


@pytest.mark.parametrize(
    "back",
    [
        "//evil.test", "/evil", "\\\\evil.test", "/\\evil.test", "https:evil.test", "https://evil.test", "javascript:x",
        "../../evil", "a/../../evil", "%252e%252e/evil", "\tevil", "a\r\nSet-Cookie: x=y", "#x", "?x", "ж", "a:b@evil",
    ],
)  # fmt: skip
def test_nobody_is_sent_out_of_the_pages(visitor: Visitor, back: str) -> None:
    answer = visitor.look(come_back(visitor, back=quote(back, safe="%")))
    assert (answer.status, answer.headers["Location"]) == (303, "./")


def test_the_login_asks_with_pkce_state_and_nonce_of_its_own(visitor: Visitor) -> None:
    first, second = (query_of(visitor.look("login").headers["Location"]) for _ in range(2))
    assert first["code_challenge_method"] == "S256"
    assert first["redirect_uri"] == f"{PAGES}callback"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43
        assert first[name] != second[name]


def test_cookies_are_for_these_pages_and_closed_to_scripts(visitor: Visitor) -> None:
    for answer in (visitor.look("login"), visitor.look(come_back(visitor))):
        for cookie in answer.cookies:
            assert "HttpOnly" in cookie
            assert "SameSite=Lax" in cookie
            assert not {"Secure", "Path", "Domain"} & set(cookie.replace("=", ";").replace(" ", "").split(";"))


def test_with_tls_cookies_are_bound_to_the_host(visitor: Visitor) -> None:
    visitor.host = "vestnik.example"
    begun = visitor.look("login")
    assert query_of(begun.headers["Location"])["redirect_uri"] == "https://vestnik.example/api/admin/callback"
    (cookie,) = begun.cookies
    assert cookie.startswith("__Host-vestnik-login=")
    assert cookie.endswith("; HttpOnly; SameSite=Lax; Path=/; Secure")


def test_a_state_of_another_login_is_refused(visitor: Visitor) -> None:
    first = come_back(visitor)
    come_back(visitor)
    assert_refused(visitor.look(first), 400, "not begun in this browser", visitor)


@pytest.mark.parametrize("query", ["", "state=x&code=y", "code=y", "state=&code=y"])
def test_a_callback_that_nobody_began_is_refused(visitor: Visitor, query: str) -> None:
    assert_refused(visitor.look(f"callback?{query}"), 400, "not begun in this browser", visitor)


def test_a_callback_works_once(visitor: Visitor) -> None:
    callback = come_back(visitor)
    stolen = replace(visitor, cookies=dict(visitor.cookies))
    assert visitor.look(callback).status == 303
    visitor.cookies.pop(SESSION_COOKIE)
    assert_refused(visitor.look(callback), 400, "not begun in this browser", visitor)
    assert_refused(stolen.look(callback), 403, "not good here", stolen)  # even with its cookie: the code is used


def test_a_login_that_took_too_long_is_refused(
    built: Application, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    callback, now = come_back(visitor), built.clock
    monkeypatch.setattr(built, "clock", lambda: now() + timedelta(minutes=16))
    assert_refused(visitor.look(callback), 400, "too long ago", visitor)


@pytest.mark.parametrize(("name", "said"), [("nonce", "of another login"), ("verifier", "does not take the code")])
def test_what_belongs_to_another_login_is_refused(
    built: Application, visitor: Visitor, name: str, said: str, logged: StringIO
) -> None:
    callback, key = come_back(visitor), built.derived_key(LOGINS)
    begun = unseal(visitor.cookies["vestnik-login"], key)
    assert begun is not None
    visitor.cookies["vestnik-login"] = seal(begun | {name: "of-another-login-and-long-enough-for-a-pkce-verifier"}, key)
    assert_refused(visitor.look(callback), 403, "not good here", visitor)
    assert said in logged.getvalue()


def test_a_cookie_of_another_purpose_or_changed_is_none(built: Application, visitor: Visitor) -> None:
    begun = visitor.look("login")
    assert begun.status == 303
    login = visitor.cookies["vestnik-login"]
    assert visitor.look(come_back(visitor)).status == 303
    session = visitor.cookies[SESSION_COOKIE]
    head, rest = session[:-40], session[-40:]
    as_session = seal({"kind": "login", "role": "admin"}, built.derived_key(SESSIONS))
    for forged in (login, as_session, head + rest[::-1], session[:-1], "x", "x" * 5000, "a.b.c.d.e", ""):
        visitor.cookies[SESSION_COOKIE] = forged
        assert visitor.look("").status == 303, forged
    visitor.cookies = {"vestnik-login": session}
    assert_refused(visitor.look("callback?state=x&code=y"), 400, "not begun", visitor)


def test_a_session_ends_with_its_time(built: Application, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor.look(come_back(visitor))
    now = built.clock
    monkeypatch.setattr(built, "clock", lambda: now() + LASTS)
    assert visitor.look("").headers["Location"] == "./login?back="
    assert visitor.post("logout", {}).status == 401


def test_the_issuer_may_say_no(visitor: Visitor) -> None:
    state = query_of(visitor.look("login").headers["Location"])["state"]
    answer = visitor.look(f"callback?state={state}&error=access_denied&error_description=%3Cscript%3E")
    assert_refused(answer, 403, "did not let you in", visitor)
    assert "script>" not in answer.text.replace("</script>", "").replace("defer>", "")


def test_whoever_has_no_role_is_told_whom_to_ask(
    built: Application, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(built, "settings", built.settings.model_copy(update={"roles_claim": "https://v.example/roles"}))
    answer = visitor.look(come_back(visitor))
    assert_refused(answer, 403, "https://v.example/roles", visitor)
    assert "Ask whoever manages the users" in answer.text
    assert "Svetlana Sender" in answer.text
    assert "data-zone" not in answer.text  # or the browser would read it again, with a code that is spent


def test_without_an_issuer_that_answers_a_page_says_so(
    built: Application, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(built, "http://127.0.0.1:9", monkeypatch)
    answer = visitor.look("login")
    assert answer.status == 503
    assert "try again" in answer.text
    monkeypatch.setitem(built.__dict__, "logins", None)
    assert "ISSUER_URL" in visitor.look("login").text


def test_logging_out_ends_the_session_here_and_at_the_issuer(
    built: Application, visitor: Visitor, issuer: RunningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.look(come_back(visitor))
    csrf = session_of(built, visitor).csrf
    answer = visitor.post("logout", {"csrf": csrf})
    leaving = answer.headers["Refresh"].removeprefix("0; url=")
    assert answer.status == 200
    assert leaving.startswith(f"{issuer.url}/logout?")
    assert query_of(leaving) == {"client_id": "vestnik-pages", "post_logout_redirect_uri": f"{PAGES}logged-out"}
    assert SESSION_COOKIE not in visitor.cookies
    assert visitor.look("logged-out").status == 200

    visitor.look(come_back(visitor))
    use(built, "http://127.0.0.1:9", monkeypatch)
    answer = visitor.post("logout", {"csrf": session_of(built, visitor).csrf})
    assert (answer.status, "Refresh" in answer.headers, SESSION_COOKIE in visitor.cookies) == (200, False, False)


@pytest.mark.parametrize("token", [None, "", "x", "of another session"])
def test_a_form_without_the_sessions_token_does_nothing(
    built: Application, visitor: Visitor, token: str | None
) -> None:
    visitor.look(come_back(visitor))
    if token == "of another session":
        other = replace(visitor, cookies={})
        other.look(come_back(other))
        token = session_of(built, other).csrf
    for action in ("logout", "preferences"):
        answer = visitor.post(action, {} if token is None else {"csrf": token})
        assert (answer.status, answer.cookies) == (403, [])
    assert visitor.look("").status == 200


def test_another_name_of_this_machine_leads_to_the_one_that_is_set(
    built: Application, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "http://127.0.0.1:4566/_aws/execute-api/vestnik/api/admin/"
    monkeypatch.setattr(built, "settings", built.settings.model_copy(update={"admin_url": address}))
    assert query_of(visitor.look("login").headers["Location"])["redirect_uri"] == f"{address}callback"
    visitor.host = "localhost:4566"
    assert visitor.look("login").headers["Location"] == f"{address}login"


def test_a_code_that_brings_no_id_token_is_refused(visitor: Visitor, issuer: RunningIssuer) -> None:
    found = Issuer(issuer.url)
    with pytest.raises(RefusedTokenError, match="does not take the code"):
        found.id_token({"code": "x"}, "vestnik-pages", "a secret that it does not have")
    assert visitor.look("login").status == 303


def test_preferences_are_kept_in_the_browser(visitor: Visitor) -> None:
    assert "Language" in visitor.look("preferences").text
    answer = visitor.post("preferences", {"language": "ru", "theme": "dark", "zone": "UTC", "other_zone": "Asia/Tokyo"})
    assert (answer.status, answer.headers["Location"]) == (303, "./preferences?notice=saved")
    assert visitor.cookies == {"language": "ru", "theme": "dark", "zone": "Asia/Tokyo"}
    page = visitor.look("preferences").text
    assert '<html lang="ru" data-theme="dark">' in page
    assert "<option selected>Asia/Tokyo</option>" in page


@pytest.mark.parametrize(
    ("field", "value"),
    [("language", "xx"), ("theme", ""), ("other_zone", "Mars/Phobos"), ("other_zone", "x; Path=/"), ("zone", "")],
)
def test_a_preference_that_is_none_is_told_beside_its_field(visitor: Visitor, field: str, value: str) -> None:
    answer = visitor.post("preferences", {"language": "en", "theme": "auto", "zone": "UTC", field: value})
    assert (answer.status, answer.cookies) == (422, [])
    assert 'aria-invalid="true"' in answer.text


def test_a_form_of_somebody_elses_page_changes_no_preferences(visitor: Visitor) -> None:
    fields = {"language": "ru", "theme": "dark", "zone": "UTC"}
    answer = visitor.post("preferences", fields, **{"sec-fetch-site": "cross-site"})
    assert (answer.status, answer.cookies) == (403, [])
