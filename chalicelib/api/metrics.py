"""`/metrics`: how all stands, as Prometheus reads it."""

from typing import Annotated

from chalice.app import Request, Response

from chalicelib.api.headers import header
from chalicelib.api.resource import Resource
from chalicelib.api.scopes import Scope
from chalicelib.bootstrap import application

metrics = Resource(__name__, tag="statistics")


@metrics.get("/metrics", Scope.STATS_READ)
def read_metrics(request: Request) -> Annotated[Response, "text/plain", "application/openmetrics-text"]:
    """Read metrics for Prometheus: in its text format, or in OpenMetrics where `Accept` asks for that.

    The scrape secret, borne as a token, opens this address, too. What cannot be read at this moment is left out, and
    counted in `vestnik_scrape_errors_total`.
    """
    # Here, because prometheus_client takes longer to import than most requests take.
    from chalicelib.api.exposition import exposed  # noqa: PLC0415

    text, content_type = exposed(application().read_figures(), header(request, "accept") or "")
    return Response(text, {"Content-Type": content_type})
