"""Pages: each declared once, as a typed function that says what it shows.

- Parameters named as a part of the path get its id; `query` gets the shape that it is annotated with, `form` the fields
  of the form that was posted, `visit` who looks and how.
- A view answers with a `Page`, a `Redirect`, or a `Response` of Chalice.
- Whoever is not logged in is sent to do so and comes back; whoever has no right is told so. A form that was posted
  carries the session's CSRF token, or nothing happens.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from http import HTTPStatus
from typing import Any, TypeVar, get_type_hints
from urllib.parse import parse_qs, quote, urlencode

from chalice.app import Blueprint, Request, Response

from chalicelib.admin.preferences import Preferences, read_preferences
from chalicelib.admin.rendering import render
from chalicelib.admin.roles import Role
from chalicelib.admin.sentences import sentence
from chalicelib.admin.session import Session, read_cookies, read_session
from chalicelib.api.audited import audited, is_audited
from chalicelib.api.headers import is_on_loopback
from chalicelib.api.parameters import PATH_PARAMETERS, validated
from chalicelib.api.problems import HttpError, as_http_error
from chalicelib.api.schemas import NoQuery, WireModel
from chalicelib.bootstrap import application

View = TypeVar("View", bound=Callable[..., object])

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 200
# Own files and nothing else; no inline scripts or styles.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Visit:
    """Who looks, and how.

    Attributes:
        session: None on pages that are open to all.
        root: the way from this address to the admin pages' own, such as `../`.
    """

    request: Request
    session: Session | None
    preferences: Preferences
    root: str

    def may(self, role: Role) -> bool:
        """Tell whether they have a role: for what a page offers."""
        return self.session is not None and self.session.role.may(role)


@dataclass(frozen=True, slots=True)
class Page:
    """A template and what stands in it."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str | list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Redirect:
    """Go there, seen from the admin pages' own address, and read a notice there (see templates/notices.html).

    An address that begins with a scheme is somebody else's: the issuer's.
    """

    to: str
    notice: str | None = None
    headers: Mapping[str, str | list[str]] = field(default_factory=dict)


class Form:
    """The fields of a form that was posted."""

    def __init__(self, body: str) -> None:
        try:
            self._fields = parse_qs(body, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        except ValueError as error:
            raise HttpError(HTTPStatus.BAD_REQUEST, "the form cannot be read") from error

    def text(self, name: str) -> str:
        """Read one field without blanks around it; empty if it is not there."""
        return self._fields.get(name, [""])[-1].strip()

    def texts(self, name: str) -> list[str]:
        """Read a field that may stand there more than once."""
        return [text.strip() for text in self._fields.get(name, []) if text.strip()]


class Pages(Blueprint):
    """A blueprint whose routes are pages."""

    def page(self, path: str, role: Role | None) -> Callable[[View], View]:
        """Declare a view that shows something; None: open to all."""
        return self._declare("GET", path, role)

    def action(self, path: str, role: Role | None) -> Callable[[View], View]:
        """Declare a view that does something; None: open to all."""
        return self._declare("POST", path, role)

    def _declare(self, method: str, path: str, role: Role | None) -> Callable[[View], View]:
        def declare(view: View) -> View:
            hints = get_type_hints(view)

            @wraps(view)
            def answering(**path_parameters: str) -> Response:
                return self._answer(view, hints, role, path_parameters)

            content_types = {"content_types": [FORM]} if method == "POST" else {}
            self.route(f"/admin{path}", methods=[method], **content_types)(answering)
            return view

        return declare

    def _answer(
        self, view: Callable[..., object], hints: Mapping[str, Any], role: Role | None, path: Mapping[str, str]
    ) -> Response:
        request = self.current_request
        visit = _visit_of(request)
        if request.path == "/admin" and not request.context["path"].endswith("/"):
            return _shown(visit, Redirect("admin/"))  # to which all addresses on it are relative
        try:
            visit = replace(visit, session=_session_of(request))
            if role is not None and visit.session is None:
                return _to_login(visit) if request.method == "GET" else _session_over(visit)
            if role is not None and not visit.may(role):
                return _failure(visit, HTTPStatus.FORBIDDEN, sentence(f"this needs the role {role}"))
            given: dict[str, Any] = {name: PATH_PARAMETERS[name].read(text) for name, text in path.items()}
            if request.method == "POST":
                given["form"] = _checked_form(request, visit.session)
            else:
                given["query"] = _read_query(request, hints.get("query", NoQuery))
            given["visit"] = visit
            wanted = {name: value for name, value in given.items() if name in hints}
            if visit.session is None or not is_audited(request.method, request.path):
                return _shown(visit, view(**wanted))
            route = f"{request.method} {request.path}"
            return audited(visit.session.subject, "pages", route, path, partial(_answer, visit, view, wanted))
        except Exception as error:  # noqa: BLE001 - the boundary: whatever happens, a page says so
            failure = as_http_error(error)
            return _failure(visit, failure.status, str(failure))


def _visit_of(request: Request) -> Visit:
    """Read how somebody looks; who it is takes a key, which may be out of reach: that is for a page to say."""
    preferences = read_preferences(_cookies_of(request), request.headers.get("accept-language", ""))
    depth = request.path.removeprefix("/admin").count("/") - 1
    return Visit(request, None, preferences, "../" * depth or "./")


def _session_of(request: Request) -> Session | None:
    built = application()
    sealed = _cookies_of(request).get(cookie_name(request, SESSION_COOKIE))
    return read_session(sealed, built.derived_key(SESSIONS), built.clock()) if sealed else None


def _cookies_of(request: Request) -> Mapping[str, str]:
    return read_cookies(request.headers.get("cookie", ""))


SESSION_COOKIE = "vestnik-session"
SESSIONS = "sessions of the pages"  # what their key is derived for


def cookie_name(request: Request, name: str) -> str:
    """Name a cookie so that, where there is TLS, no other host of the domain and no page without TLS can set it."""
    return name if is_on_loopback(request) else f"__Host-{name}"


def _read_query(request: Request, model: type[WireModel]) -> WireModel:
    """Read the query string; a notice may stand in that of any page."""
    given = dict(request.query_params or {})
    given.pop("notice", None)
    return validated(model, given)


def _checked_form(request: Request, session: Session | None) -> Form:
    raw = request.raw_body
    form = Form(raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw)
    if session is None:
        # Open to all: nothing but how the pages look. Browsers tell where a form stands.
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise HttpError(HTTPStatus.FORBIDDEN, "this form is not from these pages")
        return form
    if not hmac.compare_digest(form.text("csrf").encode(), session.csrf.encode()):
        raise HttpError(HTTPStatus.FORBIDDEN, "this form is not from this session; go back, reload and try again")
    return form


def _answer(visit: Visit, view: Callable[..., object], wanted: Mapping[str, Any]) -> Response:
    try:
        return _shown(visit, view(**wanted))
    except Exception as error:  # noqa: BLE001 - as above: the entry of a change says what became of it
        failure = as_http_error(error)
        return _failure(visit, failure.status, str(failure))


def _shown(visit: Visit, answer: object) -> Response:
    match answer:
        case Page(template, values, status, added):
            may_be_read_again = visit.request.method == "GET" and status == HTTPStatus.OK
            always = {"visit": visit, "Role": Role, "may_be_read_again": may_be_read_again}
            html = render(template, visit.preferences, {**always, **values})
            headers: dict[str, str | list[str]] = {
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": CONTENT_SECURITY_POLICY,
                "Referrer-Policy": "same-origin",
                "X-Frame-Options": "DENY",
                **added,
            }
            return Response(html, headers, int(status))
        case Redirect(to, notice, added):
            address = to if to.startswith(("https://", "http://")) else f"{visit.root}{to}"
            if notice:
                address += f"?notice={quote(notice)}"
            return Response("", {"Location": address, "Content-Type": "text/plain", **added}, int(HTTPStatus.SEE_OTHER))
        case Response():
            return answer
        case _:
            raise TypeError(f"a page answered with {type(answer).__name__}")


def _to_login(visit: Visit) -> Response:
    """Send to the login, from where one comes back to the same page and what was asked of it."""
    event = visit.request.to_original_event()
    back = event["path"].removeprefix("/admin").lstrip("/")
    query = urlencode(event.get("multiValueQueryStringParameters") or {}, doseq=True)
    return _shown(visit, Redirect(f"login?back={quote(f'{back}?{query}' if query else back, safe='')}"))


def _session_over(visit: Visit) -> Response:
    """Say that nothing was done. No redirect: a form must not lead to the issuer, by its page's own policy."""
    detail = sentence("you are not logged in, or not any more; nothing was changed")
    return _shown(visit, Page("login.html", {"problem": detail}, HTTPStatus.UNAUTHORIZED))


def _failure(visit: Visit, status: HTTPStatus, detail: str) -> Response:
    return _shown(visit, Page("error.html", {"status": status, "detail": detail}, status))
