"""The audit trail, to be searched."""

from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field

from chalicelib.admin.pages import Page, Pages, Visit
from chalicelib.admin.roles import Role
from chalicelib.api.lists import next_cursor, position
from chalicelib.api.schemas import PageQuery
from chalicelib.bootstrap import application
from chalicelib.domain.audit import AuditFilter

audit = Pages(__name__)

SHOWN = 50
FILTERS = ("subject", "target", "action")


class AuditPageQuery(PageQuery):
    """Which entries; a field that is left empty means any."""

    limit: int = SHOWN
    subject: Annotated[str, Field(max_length=200)] = ""
    target: Annotated[str, Field(max_length=200)] = ""
    action: Annotated[str, Field(max_length=200)] = ""


@audit.page("/audit", Role.ADMIN)
def show_audit(visit: Visit, query: AuditPageQuery) -> Page:
    """Show who changed or sent what, newest first."""
    meant = AuditFilter(*(getattr(query, name).strip() or None for name in FILTERS))
    page = application().audit.page(meant, position(visit.request, query), SHOWN)
    cursor = next_cursor(visit.request, query, page)
    sought = {name: getattr(query, name) for name in FILTERS if getattr(query, name)}
    older = urlencode(sought | {"cursor": cursor}) if cursor else None
    return Page(
        "audit.html", {"section": "audit", "entries": page.items, "query": query, "sought": sought, "older": older}
    )
