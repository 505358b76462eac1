"""The administrator's pages in a real browser."""

from playwright.sync_api import expect

from tests.browser.visits import Visits


def test_an_admin_sees_the_dashboard(visits: Visits) -> None:
    with visits.visit() as seen:
        expect(seen.page.get_by_role("heading", level=1)).to_have_text("Dashboard")
        assert seen.complaints == []
