"""Logins: to the issuer, back with a code, a session; and its end."""

import hmac
from collections.abc import Callable
from dataclasses import asdict, replace
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field

from chalicelib.adapters.logins import Attempt, Logins
from chalicelib.admin.pages import SESSION_COOKIE, SESSIONS, Page, Pages, Redirect, Visit, cookie_name
from chalicelib.admin.public_address import is_elsewhere_on_loopback, is_inside, public_address
from chalicelib.admin.roles import Role, highest_role
from chalicelib.admin.sentences import sentence
from chalicelib.admin.session import LASTS, Session, read_cookies, seal, seal_session, unseal
from chalicelib.api.headers import is_on_loopback
from chalicelib.api.problems import HttpError
from chalicelib.api.schemas import WireModel
from chalicelib.bootstrap import application
from chalicelib.errors import RefusedTokenError, TransientError
from chalicelib.observability import logger

login = Pages(__name__)

LOGIN_COOKIE = "vestnik-login"
LOGINS = "logins of the pages"  # what their key is derived for
SECONDS_TO_LOG_IN = 900
_NAMES = ("name", "preferred_username", "nickname", "email")
Answer = TypeVar("Answer")
_BEGUN_ELSEWHERE = sentence("this login was not begun in this browser, or too long ago; begin it again")


class LoginQuery(WireModel):
    """Where to go afterwards."""

    back: Annotated[str, Field(max_length=2000)] = ""


class CallbackQuery(WireModel):
    """What the issuer says; what else it may add is not looked at."""

    model_config = ConfigDict(extra="ignore")

    state: str = ""
    code: str = ""
    error: str = ""


@login.page("/login", None)
def begin_login(visit: Visit, query: LoginQuery) -> Redirect:
    """Send the browser to the issuer."""
    back = query.back if is_inside(query.back) else ""
    if is_elsewhere_on_loopback(visit.request):
        return Redirect(f"{public_address(visit.request)}login")
    attempt, built = Attempt.begin(), application()
    begun = {
        "kind": "login",
        "back": back,
        "expires_at": int(built.clock().timestamp()) + SECONDS_TO_LOG_IN,
        **asdict(attempt),
    }
    address = _known(_logins().begin, attempt, _callback(visit))
    sealed = seal(begun, built.derived_key(LOGINS))
    return Redirect(address, headers={"Set-Cookie": _cookie(visit, LOGIN_COOKIE, sealed, SECONDS_TO_LOG_IN)})


@login.page("/callback", None)
def finish_login(visit: Visit, query: CallbackQuery) -> Redirect | Page:
    """Make of the issuer's answer a session, and go where one was."""
    begun = _begun(visit)
    if begun is None or not hmac.compare_digest(query.state.encode(), begun["state"].encode()):
        return _refused(visit, _BEGUN_ELSEWHERE, HTTPStatus.BAD_REQUEST)
    if query.error or not query.code:
        logger.info("login refused", extra={"reason": "the issuer", "error": query.error[:100]})
        return _refused(visit, sentence("the issuer did not let you in"), HTTPStatus.FORBIDDEN)
    attempt = Attempt(begun["state"], begun["nonce"], begun["verifier"])
    try:
        claims = _known(_logins().finish, attempt, query.code, _callback(visit))
    except RefusedTokenError as error:
        logger.info("login refused", extra={"reason": str(error)})
        return _refused(visit, sentence("the login is not good here; begin it again"), HTTPStatus.FORBIDDEN)
    built = application()
    name = next((text for key in _NAMES if isinstance(text := claims.get(key), str) and text), claims["sub"])
    role = highest_role(claims, built.settings.roles_claim)
    if role is None:
        logger.info("login refused", extra={"reason": "no role", "subject": claims["sub"]})
        values = {"name": name[:200], "claim": built.settings.roles_claim, "roles": list(Role), "other": _end(visit)}
        return Page("no_role.html", values, HTTPStatus.FORBIDDEN, _ended_login(visit))
    session = Session.begin(claims["sub"], name, role, built.clock())
    sealed = seal_session(session, built.derived_key(SESSIONS))
    logger.info("logged in", extra={"subject": session.subject, "role": role.value})
    seconds = int(LASTS.total_seconds())
    cookies = [_cookie(visit, SESSION_COOKIE, sealed, seconds), _cookie(visit, LOGIN_COOKIE, "", 0)]
    return Redirect(begun["back"], headers={"Set-Cookie": cookies})


@login.action("/logout", Role.VIEWER)
def log_out(visit: Visit) -> Page:
    """End the session here, and then the issuer's.

    The page leads on by a header: a redirect would still be the form's, which its page's policy keeps at home.
    """
    logger.info("logged out", extra={"subject": visit.session.subject if visit.session else None})
    leaving = _end(visit)
    headers: dict[str, str | list[str]] = {"Set-Cookie": _cookie(visit, SESSION_COOKIE, "", 0)}
    if leaving:
        headers["Refresh"] = f"0; url={leaving}"
    return Page("logged_out.html", {"leaving": leaving, "visit": _without_session(visit)}, headers=headers)


@login.page("/logged-out", None)
def show_logged_out(visit: Visit) -> Page:
    """Say that the issuer's session is over too."""
    return Page("logged_out.html", {"visit": _without_session(visit)})


def _logins() -> Logins:
    logins = application().logins
    if logins is None:
        raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "nobody can log in: the issuer (ISSUER_URL) is not set")
    return logins


def _known(ask: Callable[..., Answer], *arguments: object) -> Answer:
    try:
        return ask(*arguments)
    except TransientError as error:
        logger.warning("nobody can log in", extra={"error": str(error)})
        raise HttpError(
            HTTPStatus.SERVICE_UNAVAILABLE, "where users log in, nothing answers; try again in a moment"
        ) from error


def _begun(visit: Visit) -> dict[str, Any] | None:
    built = application()
    sealed = read_cookies(visit.request.headers.get("cookie", "")).get(cookie_name(visit.request, LOGIN_COOKIE))
    begun = unseal(sealed, built.derived_key(LOGINS)) if sealed else None
    if begun is None or begun.get("kind") != "login" or begun["expires_at"] <= built.clock().timestamp():
        return None
    return begun


def _refused(visit: Visit, problem: str, status: HTTPStatus) -> Page:
    return Page("login.html", {"problem": problem}, status, _ended_login(visit))


def _end(visit: Visit) -> str | None:
    """Find where the issuer's session ends; ours ends whether or not the issuer answers."""
    logins = application().logins
    try:
        return logins.end(f"{public_address(visit.request)}logged-out") if logins else None
    except TransientError as error:
        logger.warning("the issuer's session is not ended", extra={"error": str(error)})
        return None


def _callback(visit: Visit) -> str:
    return f"{public_address(visit.request)}callback"


def _without_session(visit: Visit) -> Visit:
    return replace(visit, session=None)


def _ended_login(visit: Visit) -> dict[str, str | list[str]]:
    return {"Set-Cookie": _cookie(visit, LOGIN_COOKIE, "", 0)}


def _cookie(visit: Visit, name: str, value: str, seconds: int) -> str:
    """Write a cookie for these pages only; with TLS, for this host only, which asks for the path `/`."""
    where = "" if is_on_loopback(visit.request) else "; Path=/; Secure"
    return f"{cookie_name(visit.request, name)}={value}; Max-Age={seconds}; HttpOnly; SameSite=Lax{where}"
