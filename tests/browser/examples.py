"""Every address that shows a page, with what it shows of the samples.

Each GET route of the pages has an example here, or stands below with what it answers instead; test_every_page.py
fails when a route has neither.
"""

from dataclasses import dataclass
from http import HTTPStatus

from app import app
from chalicelib.admin.roles import Role


@dataclass(frozen=True)
class Example:
    """A page.

    Attributes:
        address: seen from the pages' own; names in braces are of the samples (tests/browser/samples.py).
        shows: a selector of what must be there in any language, with script and without.
        press: a selector of what is pressed first; what comes of it is the page.
        status: of the answer.
        role: as which it is visited; None: not logged in.
    """

    address: str
    shows: str = "main"
    press: str | None = None
    status: HTTPStatus = HTTPStatus.OK
    role: Role | None = Role.ADMIN

    def __str__(self) -> str:
        return f"{self.address or 'dashboard'}{' pressed' if self.press else ''}"

    def is_of(self, route: str) -> bool:
        """Tell whether it is an example of a route, such as /admin/clients/{client_id}."""
        here = f"/admin/{self.address.partition('?')[0]}".rstrip("/").split("/")
        there = route.split("/")
        return len(here) == len(there) and all(
            own.startswith("{") if declared.startswith("{") else own == declared
            for own, declared in zip(here, there, strict=True)
        )


_PRIMARY = "main button.primary"
_FAULTS = "main [aria-invalid]"
_EFFECT = "main .effect"
_ROWS = "main tbody tr"
_LETTER = "dead-letters/redrive?queue=send&id={letter}"

EXAMPLES = (
    Example("", "progress"),
    Example("search?q=nothing", ".empty"),
    Example("preferences", role=None),
    Example("preferences", ".notice", press="main button"),
    Example("callback?state=none", ".problem", status=HTTPStatus.BAD_REQUEST, role=None),
    Example("logged-out", "a.button", role=None),
    Example("audit", _ROWS),
    Example("audit?subject=nobody", "main a"),
    Example("mailings", _ROWS),
    Example("mailings?q=nothing", ".empty"),
    Example("mailings/new", "textarea"),
    Example("mailings/new", _FAULTS, press=_PRIMARY, status=HTTPStatus.UNPROCESSABLE_ENTITY),
    Example("mailings/{running}", "img.chart"),
    Example("mailings/{paused}", "#state .paused"),
    Example("mailings/{finished}", "#errors tbody tr"),
    Example("mailings/{draft}", "#state .draft"),
    Example("mailings/{empty}", "#progress .dim"),
    Example("mailings/nothing", ".problem", status=HTTPStatus.NOT_FOUND),
    Example("mailings/{draft}/edit", "textarea"),
    Example("mailings/{draft}/edit", "#preview td", press="[value=preview]"),
    Example("mailings/{running}/edit", "[readonly]"),
    Example("mailings/{finished}/duplicate", "textarea"),
    Example("mailings/{draft}/start", _EFFECT),
    Example("mailings/{running}/pause", _EFFECT),
    Example("mailings/{paused}/resume", _EFFECT),
    Example("mailings/{finished}/retry", _EFFECT),
    Example("mailings/{running}/cancel", _EFFECT),
    Example("mailings/{draft}/delete", _EFFECT),
    Example("mailings/{finished}/pause", ".problem", status=HTTPStatus.CONFLICT),
    Example("mailings/{draft}/test", ".quoted"),
    Example("mailings/{finished}/messages", _ROWS),
    Example("mailings/{finished}/messages?status=deferred", ".empty"),
    Example("mailings/{finished}/journal", _ROWS),
    Example("messages/{failed_message}", ".failed"),
    Example("messages/{waiting_message}", ".deferred"),
    Example("messages/{failed_message}/journal", _ROWS),
    Example("clients", _ROWS),
    Example("clients?phone=1", _FAULTS, status=HTTPStatus.UNPROCESSABLE_ENTITY),
    Example("clients?tag=nobody", ".empty"),
    Example("clients/new", "#phone"),
    Example("clients/new", _FAULTS, press=_PRIMARY, status=HTTPStatus.UNPROCESSABLE_ENTITY),
    Example("clients/{client}", _ROWS),
    Example("clients/{opted_out}", ".cancelled"),
    Example("clients/{client}/edit", "[value='{client_phone}']"),
    Example("clients/{client}/delete", "button.danger"),
    Example("clients/{client}/opt-out", "button.danger"),
    Example("clients/{client}/journal", _ROWS),
    Example("clients/import", "pre"),
    Example("clients/imports/{client_import}", _ROWS),
    Example("clients/imports/{waiting_import}", "#file"),
    Example("suppressions", _ROWS),
    Example("suppressions/import", "pre"),
    Example("suppressions/imports/{suppression_import}", _ROWS),
    Example("suppressions/{suppressed_phone}/lift", "button.danger"),
    Example("dead-letters", _ROWS),
    Example("dead-letters?queue=import", ".empty"),
    Example("dead-letters/redrive", _PRIMARY),
    Example(_LETTER, _PRIMARY),
    Example(_LETTER, ".notice", press=_PRIMARY),
)

# What GET routes answer that show no page: the type of the content, or where they lead.
OTHERS = {
    "/admin/static/{file}": ("static/app.css", "text/css"),
    "/admin/clients/export": ("clients/export", "text/csv"),
    "/admin/mailings/{mailing_id}/chart.svg": ("mailings/{finished}/chart.svg", "image/svg+xml"),
    "/admin/login": ("login", "/authorize?"),
}

ROUTES = sorted(path for path, methods in app.routes.items() if path.startswith("/admin") and "GET" in methods)
