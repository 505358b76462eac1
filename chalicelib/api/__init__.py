"""The REST API: a resource a file, under one middleware."""

from chalice.app import Chalice

from chalicelib.api.audit import audit
from chalicelib.api.clients import clients
from chalicelib.api.controls import controls
from chalicelib.api.dead_letters import dead_letters
from chalicelib.api.docs_pages import docs_pages
from chalicelib.api.documentation import documented
from chalicelib.api.health import health
from chalicelib.api.imports import imports
from chalicelib.api.mailings import mailings
from chalicelib.api.messages import messages
from chalicelib.api.metrics import metrics
from chalicelib.api.middleware import Middleware
from chalicelib.api.stats import stats
from chalicelib.api.suppressions import suppressions

_DOCUMENTED = (
    health,
    clients,
    imports,
    suppressions,
    mailings,
    controls,
    messages,
    stats,
    dead_letters,
    audit,
    metrics,
)
RESOURCES = (*_DOCUMENTED, documented(_DOCUMENTED))
OPERATIONS = tuple(operation for resource in RESOURCES for operation in resource.operations)


def register(app: Chalice) -> None:
    """Add all routes to an app, and the middleware that stands around them."""
    for resource in RESOURCES:
        app.register_blueprint(resource)
    app.register_blueprint(docs_pages)
    app.register_middleware(Middleware(app, {(each.path, each.method): each for each in OPERATIONS}), "http")
