"""One mailing: how it goes, live, and its chart."""

from datetime import datetime
from typing import Literal

from chalice.app import Response

from chalicelib.admin.mailing_actions import offered
from chalicelib.admin.pages import Page, Pages, Visit
from chalicelib.admin.roles import Role
from chalicelib.api.schemas import WireModel
from chalicelib.bootstrap import application
from chalicelib.domain import progress
from chalicelib.domain.mailing import ENDED, MailingStatus
from chalicelib.domain.message import Status
from chalicelib.services.read_statistics import Counts, MailingStatistics

mailing_detail = Pages(__name__)

SHOWN_ERRORS = 10


class ChartQuery(WireModel):
    """How a chart is drawn; `sent` makes another address of another chart, which a browser then reads anew."""

    theme: Literal["light", "dark"] = "light"
    sent: str = ""


@mailing_detail.page("/mailings/{mailing_id}", Role.VIEWER)
def show_mailing(mailing_id: str, visit: Visit) -> Page:
    """Show how a mailing goes and what can be done about it."""
    statistics = application().read_statistics.of_mailing(mailing_id)
    mailing = statistics.mailing
    counts = Counts.of(statistics.counters.counts)
    values = {
        "section": "mailings",
        "mailing": mailing,
        "statistics": statistics,
        "counts": counts,
        "statuses": [(status, getattr(counts, status.value)) for status in Status],
        "reasons": [(status, statistics.under(status.value)) for status in Status],
        "errors": list(statistics.under("error").items())[:SHOWN_ERRORS],
        "minutes": _minutes(statistics),
        "ended": mailing.status in ENDED,
        "actions": [each for each in offered(mailing, counts, application().clock()) if visit.may(each.role)],
        "changeable": mailing.status not in ENDED
        and visit.may(Role.EDITOR if mailing.status is MailingStatus.DRAFT else Role.SENDER),
    }
    return Page("mailing.html", values | _pace(statistics, counts))


@mailing_detail.page("/mailings/{mailing_id}/chart.svg", Role.VIEWER)
def draw_mailing(mailing_id: str, query: ChartQuery, visit: Visit) -> Response:
    """Draw how many messages were sent a minute."""
    # Here, because only charts need it, and it takes a tenth of a second of a cold start.
    from chalicelib.admin.mailing_chart import sent_per_minute  # noqa: PLC0415

    statistics = application().read_statistics.of_mailing(mailing_id)
    drawn = sent_per_minute(_minutes(statistics), visit.preferences.zone, query.theme)
    # By itself it is a picture that loads nothing and runs nothing.
    headers: dict[str, str | list[str]] = {
        "Content-Type": "image/svg+xml",
        "Cache-Control": "private, max-age=60",
        "Content-Security-Policy": f"default-src 'none'; style-src '{drawn.style_hash}'",
    }
    return Response(drawn.svg, headers)


def _minutes(statistics: MailingStatistics) -> list[tuple[datetime, int]]:
    return [(minute, sent["sent"]) for minute, sent in statistics.per_minute]


def _pace(statistics: MailingStatistics, counts: Counts) -> dict[str, object]:
    """Say how fast it goes and when it will be done, while it runs."""
    mailing, now = statistics.mailing, application().clock()
    if mailing.status is not MailingStatus.RUNNING:
        return {"per_second": None, "through_at": None}
    per_second = progress.rate(_minutes(statistics), mailing.started_at or mailing.start_at, now)
    through_at = progress.through_at(counts.queued + counts.deferred, per_second, now, mailing.end_at)
    # Until everyone has a row, nobody knows how many there will be.
    return {"per_second": per_second, "through_at": through_at if mailing.planned_at else None}
