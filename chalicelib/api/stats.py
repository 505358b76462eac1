from chalice.app import Request

from chalicelib.api.lists import next_cursor, position
from chalicelib.api.resource import Resource
from chalicelib.api.schemas import PageQuery
from chalicelib.api.scopes import Scope
from chalicelib.api.stats_schemas import MailingStatsResponse, OverviewResponse
from chalicelib.bootstrap import application

stats = Resource(__name__, tag="statistics")


@stats.get("/stats", Scope.STATS_READ)
def read_overview(request: Request, query: PageQuery) -> OverviewResponse:
    """Read counts over all mailings, and those of one page of mailings, newest first."""
    built = application()
    overview = built.read_statistics.overview(position(request, query), query.limit)
    cursor = next_cursor(request, query, overview.mailings)
    return OverviewResponse.of(overview, cursor, built.breaker.known())


@stats.get("/mailings/{mailing_id}/stats", Scope.STATS_READ)
def read_mailing_stats(mailing_id: str) -> MailingStatsResponse:
    """Read everything that is counted of a mailing."""
    built = application()
    return MailingStatsResponse.of(built.read_statistics.of_mailing(mailing_id), built.breaker.known())
