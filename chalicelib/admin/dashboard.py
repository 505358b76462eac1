from chalicelib.admin.pages import Page, Pages
from chalicelib.admin.roles import Role

dashboard = Pages(__name__)


@dashboard.page("", Role.VIEWER)
def show_dashboard() -> Page:
    """Show what runs, how it goes, and what stands against it."""
    return Page("dashboard.html", {"section": ""})
