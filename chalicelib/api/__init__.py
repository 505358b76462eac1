"""The REST API: a resource a file, under one middleware."""

from chalice.app import Chalice

from chalicelib.api.clients import clients
from chalicelib.api.controls import controls
from chalicelib.api.dead_letters import dead_letters
from chalicelib.api.health import health
from chalicelib.api.imports import imports
from chalicelib.api.mailings import mailings
from chalicelib.api.messages import messages
from chalicelib.api.middleware import Middleware
from chalicelib.api.stats import stats

RESOURCES = (health, clients, imports, mailings, controls, messages, stats, dead_letters)


def register(app: Chalice) -> None:
    """Add all routes to an app, and the middleware that stands around them."""
    for resource in RESOURCES:
        app.register_blueprint(resource)
    operations = {(each.path, each.method): each for resource in RESOURCES for each in resource.operations}
    app.register_middleware(Middleware(app, operations), "http")
