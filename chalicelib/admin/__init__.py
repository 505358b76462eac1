"""The administrator's pages, under `/admin/`: server-rendered, for people; what they do is what the API does."""

from chalice.app import Chalice

from chalicelib.admin.dashboard import dashboard
from chalicelib.admin.dead_letters import dead_letters
from chalicelib.admin.journals import journals
from chalicelib.admin.messages import messages
from chalicelib.admin.static_files import static_files

PAGES = (static_files, dashboard, messages, journals, dead_letters)


def register(app: Chalice) -> None:
    """Add all pages to an app, whose API is registered already: its middleware stands around them too."""
    for pages in PAGES:
        app.register_blueprint(pages)
