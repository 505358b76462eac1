"""The administrator's pages, under `/admin/`: server-rendered, for people; what they do is what the API does."""

from chalice.app import Chalice

from chalicelib.admin.audit import audit
from chalicelib.admin.clients import clients
from chalicelib.admin.dashboard import dashboard
from chalicelib.admin.dead_letters import dead_letters
from chalicelib.admin.imports import imports
from chalicelib.admin.journals import journals
from chalicelib.admin.login import login
from chalicelib.admin.mailing_actions import mailing_actions
from chalicelib.admin.mailing_detail import mailing_detail
from chalicelib.admin.mailings import mailings
from chalicelib.admin.messages import messages
from chalicelib.admin.preferences_page import preferences_page
from chalicelib.admin.static_files import static_files
from chalicelib.admin.suppressions import suppressions

PAGES = (
    static_files,
    login,
    preferences_page,
    audit,
    dashboard,
    mailings,
    mailing_detail,
    mailing_actions,
    messages,
    journals,
    dead_letters,
    clients,
    imports,
    suppressions,
)


def register(app: Chalice) -> None:
    """Add all pages to an app, whose API is registered already: its middleware stands around them too."""
    for pages in PAGES:
        app.register_blueprint(pages)
