from chalice.app import Blueprint, Response

from chalicelib.api.problems import answers_problems
from chalicelib.api.provider_schemas import HealthResponse, ProviderResponse
from chalicelib.api.responses import shown
from chalicelib.bootstrap import application

health = Blueprint(__name__)


@health.route("/health", methods=["GET"])
@answers_problems
def read_health() -> Response:
    """Say that the API answers, and how it stands with the provider, as far as that is known."""
    return shown(HealthResponse(status="ok", provider=ProviderResponse.of(application().breaker.known())))
