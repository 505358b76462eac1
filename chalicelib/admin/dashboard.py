from typing import Annotated

from pydantic import Field

from chalicelib.admin.pages import Page, Pages, Redirect, Visit
from chalicelib.admin.roles import Role
from chalicelib.api.schemas import WireModel
from chalicelib.bootstrap import application
from chalicelib.domain.timezone import resolve_timezone

dashboard = Pages(__name__)

_ADDRESSES = {
    "mailing": "mailings",
    "message": "messages",
    "client": "clients",
    "clients import": "clients/imports",
    "suppressions import": "suppressions/imports",
}


class SearchQuery(WireModel):
    """What somebody looks for."""

    q: Annotated[str, Field(max_length=100)] = ""


@dashboard.page("", Role.VIEWER)
def show_dashboard(visit: Visit) -> Page:
    """Show what runs, how it goes, and what stands against it."""
    built = application()
    now = built.clock()
    midnight = now.astimezone(resolve_timezone(visit.preferences.zone)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    values = {"section": "", "found": built.read_dashboard(midnight), "breaker": built.breaker.known()}
    return Page("dashboard.html", values | {"midnight": midnight, "now": now})


@dashboard.page("/search", Role.VIEWER)
def search(query: SearchQuery) -> Page | Redirect:
    """Go to what has this id or this phone."""
    found = application().find_subject(query.q) if query.q.strip() else None
    if found:
        return Redirect(f"{_ADDRESSES[found.kind]}/{found.id}")
    return Page("search.html", {"q": query.q})
