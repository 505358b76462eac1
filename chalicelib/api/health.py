from chalicelib.api.provider_schemas import HealthResponse, ProviderResponse
from chalicelib.api.resource import Resource
from chalicelib.bootstrap import application

health = Resource(__name__, tag="service")


@health.get("/health", None)
def read_health() -> HealthResponse:
    """Say that the API answers, and how it stands with the provider, as far as that is known."""
    return HealthResponse(status="ok", provider=ProviderResponse.of(application().breaker.known()))
