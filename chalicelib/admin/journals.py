from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import urlencode

from pydantic import Field

from chalicelib.admin.pages import Page, Pages
from chalicelib.admin.roles import Role
from chalicelib.api.schemas import WireModel
from chalicelib.bootstrap import application
from chalicelib.domain.journal import FUNCTIONS, Subject

journals = Pages(__name__)

LINES = 200
# API Gateway waits 29 s. A call that begins within this time may be tried twice, at 7 s.
SEARCH_FOR = timedelta(seconds=8)
PERIODS = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}


class JournalQuery(WireModel):
    """Which part of a journal.

    Attributes:
        after: milliseconds since 1970, where the page begins; stands above the period.
        reads: answered GET requests too.
    """

    period: Literal["1h", "24h", "7d", "30d"] = "24h"
    after: Annotated[str, Field(pattern="^[0-9]{1,13}$")] | None = None
    reads: Literal["1"] | None = None


@journals.page("/mailings/{mailing_id}/journal", Role.VIEWER)
def show_journal_of_mailing(mailing_id: str, query: JournalQuery) -> Page:
    """Show what all functions logged of a mailing."""
    return _journal(Subject("mailing", mailing_id), query)


@journals.page("/messages/{message_id}/journal", Role.VIEWER)
def show_journal_of_message(message_id: int, query: JournalQuery) -> Page:
    """Show what all functions logged of a message, with the milestones of its mailing."""
    return _journal(Subject("message", str(message_id)), query)


@journals.page("/clients/{client_id}/journal", Role.VIEWER)
def show_journal_of_client(client_id: str, query: JournalQuery) -> Page:
    """Show what all functions logged of a client."""
    return _journal(Subject("client", client_id), query)


def _journal(subject: Subject, query: JournalQuery) -> Page:
    built = application()
    since = built.clock() - PERIODS[query.period]
    if query.after:
        since = datetime.fromtimestamp(int(query.after) / 1000, UTC)
    journal = built.read_journal(subject, since, reads=bool(query.reads), limit=LINES, within=SEARCH_FOR)
    asked = {"period": query.period} | ({"reads": query.reads} if query.reads else {})
    nothing_read = len(journal.failed) + len(journal.missing) >= len(FUNCTIONS)
    return Page(
        "journal.html",
        {
            "section": "clients" if subject.kind == "client" else "mailings",
            "subject": subject,
            "query": query,
            "journal": journal,
            "failed": [function for function, _ in journal.failed],
            "next": f"?{urlencode(asked | {'after': _milliseconds(journal.next)})}" if journal.next else None,
        },
        HTTPStatus.SERVICE_UNAVAILABLE if nothing_read else HTTPStatus.OK,
    )


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
