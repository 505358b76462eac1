"""The administrator's pages, under `/admin/`: server-rendered, for people; what they do is what the API does."""

from chalice.app import Chalice

from chalicelib.admin.clients import clients
from chalicelib.admin.dashboard import dashboard
from chalicelib.admin.imports import imports
from chalicelib.admin.static_files import static_files
from chalicelib.admin.suppressions import suppressions

PAGES = (static_files, dashboard, clients, imports, suppressions)


def register(app: Chalice) -> None:
    """Add all pages to an app, whose API is registered already: its middleware stands around them too."""
    for pages in PAGES:
        app.register_blueprint(pages)
