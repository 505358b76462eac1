"""The administrator's pages, under `/admin/`: server-rendered, for people; what they do is what the API does."""

from chalice.app import Chalice

from chalicelib.admin.audit import audit
from chalicelib.admin.dashboard import dashboard
from chalicelib.admin.login import login
from chalicelib.admin.preferences_page import preferences_page
from chalicelib.admin.static_files import static_files

PAGES = (static_files, login, preferences_page, audit, dashboard)


def register(app: Chalice) -> None:
    """Add all pages to an app, whose API is registered already: its middleware stands around them too."""
    for pages in PAGES:
        app.register_blueprint(pages)
