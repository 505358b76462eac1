"""Language, theme and time zone of the pages: for everybody, logged in or not."""

from dataclasses import dataclass
from http import HTTPStatus

from chalicelib.admin.pages import Form, Page, Pages, Redirect, Visit
from chalicelib.admin.preferences import THEMES
from chalicelib.admin.sentences import sentence
from chalicelib.api.headers import is_on_loopback
from chalicelib.api.schemas import WireModel
from chalicelib.domain.language import LANGUAGES
from chalicelib.domain.timezone import UnknownTimezoneError, resolve_timezone

preferences_page = Pages(__name__)

A_YEAR = 31_536_000
MAX_ZONE = 64
# Offered; any other IANA name can be typed.
ZONES = (
    "UTC",
    "Europe/Kaliningrad",
    "Europe/Moscow",
    "Europe/Samara",
    "Asia/Yekaterinburg",
    "Asia/Omsk",
    "Asia/Novosibirsk",
    "Asia/Krasnoyarsk",
    "Asia/Irkutsk",
    "Asia/Yakutsk",
    "Asia/Vladivostok",
    "Asia/Magadan",
    "Asia/Kamchatka",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Istanbul",
    "Asia/Dubai",
    "Asia/Almaty",
    "Asia/Shanghai",
    "America/New_York",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody chose, good or not."""

    language: str
    theme: str
    zone: str

    @property
    def faults(self) -> dict[str, str]:
        """Say by field what is wrong."""
        found = {}
        if self.language not in LANGUAGES:
            found["language"] = sentence("must be one of these languages")
        if self.theme not in THEMES:
            found["theme"] = sentence("must be one of these themes")
        if not _is_zone(self.zone):
            found["zone"] = sentence("must be an IANA time zone or an offset from -12:00 to +14:00")
        return found


class NoticeQuery(WireModel):
    """What a redirect left for templates/notices.html."""

    notice: str = ""


@preferences_page.page("/preferences", None)
def show_preferences(visit: Visit, query: NoticeQuery) -> Page:  # noqa: ARG001 - the template reads it
    """Show how the pages look now, to be changed."""
    chosen = visit.preferences
    return _page(Choice(chosen.language, chosen.theme, chosen.zone), {}, HTTPStatus.OK)


@preferences_page.action("/preferences", None)
def save_preferences(visit: Visit, form: Form) -> Page | Redirect:
    """Keep what was chosen, in this browser."""
    choice = Choice(form.text("language"), form.text("theme"), form.text("other_zone") or form.text("zone"))
    if choice.faults:
        return _page(choice, choice.faults, HTTPStatus.UNPROCESSABLE_ENTITY)
    secure = "" if is_on_loopback(visit.request) else "; Secure"
    # Without a path: so they belong to the pages, under whatever prefix. The script reads the zone.
    cookies = [
        f"{name}={value}; Max-Age={A_YEAR}; SameSite=Lax{secure}"
        for name, value in (("language", choice.language), ("theme", choice.theme), ("zone", choice.zone))
    ]
    return Redirect("preferences", "saved", {"Set-Cookie": cookies})


def _page(choice: Choice, faults: dict[str, str], status: HTTPStatus) -> Page:
    values = {"choice": choice, "faults": faults, "languages": LANGUAGES, "themes": THEMES, "zones": ZONES}
    return Page("preferences.html", values, status)


def _is_zone(name: str) -> bool:
    """Tell a zone that can stand in a cookie; names of zones have no other letters."""
    try:
        resolve_timezone(name)
    except UnknownTimezoneError:
        return False
    return len(name) <= MAX_ZONE and all(char.isalnum() or char in "/_+-:" for char in name)
