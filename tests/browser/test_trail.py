"""What administrators look after: dead letters and the audit trail."""

from playwright.sync_api import Locator, Page, expect

from chalicelib.admin.roles import Role
from tests.browser.visits import Visits
from tests.e2e.steps import create_mailing, phones, send
from tests.running_stack import RunningStack, poll


def entries(page: Page, target: str) -> Locator:
    """Search the trail for what was done to something."""
    page.get_by_role("link", name="Audit").click()
    page.get_by_label("Id of what was changed").fill(target)
    page.get_by_role("button", name="Search").click()
    return page.get_by_role("region", name="Audit trail").locator("tbody tr")


def test_a_dead_letter_is_redriven_and_the_trail_says_by_whom(visits: Visits, stack: RunningStack) -> None:
    draft = create_mailing(stack, "nobody-has-this", draft=True)
    send(stack, "send-dlq", {"v": 1, "mailing_id": draft, "message_ids": [1]})
    letters = poll(lambda: stack.request("GET", "/dead-letters").json()["items"], until=bool, deadline_seconds=30)
    (letter,) = [each for each in letters if each["mailing_id"] == draft]
    with visits.visit() as seen:
        page = seen.page
        expect(page.locator("section", has=page.get_by_role("heading", name="Dead letters"))).to_contain_text("1")
        page.get_by_role("link", name="See why, and redrive").click()
        row = page.get_by_role("region", name="Dead letters").locator("tbody tr", has_text=letter["id"])
        expect(row).to_contain_text(draft)
        row.get_by_role("link", name=f"Redrive {letter['id']}").click()
        expect(page.get_by_text(f"The ticket {letter['id']} goes back to where it came from: send.")).to_be_visible()
        page.get_by_role("button", name="Redrive").click()
        expect(page.get_by_role("status")).to_have_text("1 ticket is on its way again.")
        page.get_by_role("link", name="To the dead letters").click()
        expect(page.get_by_text("no ticket has failed")).to_be_visible()

        entry = entries(page, letter["id"])
        expect(entry).to_have_count(1)
        expect(entry).to_contain_text("admin")
        expect(entry).to_contain_text("redriven: – → 1")
        assert seen.complaints == []


def test_the_trail_says_who_changed_a_client_from_what_to_what(visits: Visits, stack: RunningStack) -> None:
    body = {"phone": next(phones), "timezone": "Europe/Moscow", "tag": "before"}
    client = stack.request("POST", "/clients", body).json()["id"]
    with visits.visit(f"clients/{client}/edit", role=Role.EDITOR) as seen:
        seen.page.get_by_label("Tag").fill("after")
        seen.page.get_by_role("button", name="Save").click()
        expect(seen.page.get_by_role("status")).to_have_text("Saved.")
    with visits.visit() as seen:
        found = entries(seen.page, client)
        expect(found).to_have_count(2)
        expect(found.nth(0)).to_contain_text("editor on the pages")
        expect(found.nth(0)).to_contain_text("tag: before → after")
        expect(found.nth(0)).to_contain_text("done")
        expect(found.nth(1)).to_contain_text("POST /clients")
        assert body["phone"] not in seen.page.content()
        assert seen.complaints == []


def test_the_trail_has_what_was_done_to_a_mailing_and_what_was_refused(visits: Visits, stack: RunningStack) -> None:
    draft = create_mailing(stack, "nobody-has-this", text="Not for the trail", draft=True)
    with visits.visit(f"mailings/{draft}", role=Role.SENDER) as seen:
        seen.page.get_by_role("link", name="Cancel…").click()
        expect(seen.page.get_by_text("It will never start: nobody gets a message.")).to_be_visible()
        stack.request("POST", f"/mailings/{draft}/cancel").raise_for_status()
        seen.page.get_by_role("button", name="Cancel", exact=True).click()
        expect(seen.page.get_by_role("heading", level=1)).to_have_text("409 Conflict")
    with visits.visit() as seen:
        found = entries(seen.page, draft)
        expect(found).to_have_count(3)
        expect(found.nth(0)).to_contain_text("refused 409")
        expect(found.nth(1)).to_contain_text("status: draft → cancelled")
        assert "Not for the trail" not in seen.page.content()
        assert seen.complaints == []
