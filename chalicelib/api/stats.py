from chalice.app import Blueprint, Response

from chalicelib.api.parameters import read_id, read_query
from chalicelib.api.problems import answers_problems
from chalicelib.api.responses import next_cursor, position, shown
from chalicelib.api.schemas import NoQuery, PageQuery
from chalicelib.api.stats_schemas import MailingStatsResponse, OverviewResponse
from chalicelib.bootstrap import application

stats = Blueprint(__name__)


@stats.route("/stats", methods=["GET"])
@answers_problems
def read_overview() -> Response:
    """Read counts over all mailings, and those of one page of mailings, newest first."""
    request = stats.current_request
    query = read_query(request, PageQuery)
    built = application()
    overview = built.read_statistics.overview(position(request, query), query.limit)
    cursor = next_cursor(request, query, overview.mailings)
    return shown(OverviewResponse.of(overview, cursor, built.breaker.known()))


@stats.route("/mailings/{mailing_id}/stats", methods=["GET"])
@answers_problems
def read_mailing_stats(mailing_id: str) -> Response:
    """Read everything that is counted of a mailing."""
    read_query(stats.current_request, NoQuery)
    built = application()
    statistics = built.read_statistics.of_mailing(read_id(mailing_id, "mailing"))
    return shown(MailingStatsResponse.of(statistics, built.breaker.known()))
