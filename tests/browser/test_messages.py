"""Why a client got nothing: from its phone to the message, the reason and the journal."""

from playwright.sync_api import Page, expect

from chalicelib.admin.roles import Role
from tests.browser.visits import Visits
from tests.e2e.steps import create_mailing, finished, phones
from tests.running_stack import RunningStack, poll

JOURNAL_SECONDS = 60


def client_with(stack: RunningStack, tag: str) -> str:
    phone = next(phones)
    answer = stack.request("POST", "/clients", {"phone": phone, "tag": tag, "timezone": "Europe/Moscow"})
    answer.raise_for_status()
    return phone


def read_until(page: Page, word: str) -> None:
    """Look at a journal again and again: what a function says may appear only when its run has ended."""

    def lines() -> list[str]:
        page.get_by_role("button", name="Show").click()
        return page.get_by_role("region", name="Journal").locator("tbody").all_inner_texts()

    poll(lines, until=lambda texts: any(word in text for text in texts), deadline_seconds=JOURNAL_SECONDS)


def test_from_a_phone_one_learns_why_its_owner_got_nothing(visits: Visits, stack: RunningStack) -> None:
    phone = client_with(stack, "browser-refused")
    stack.control(status=400)
    try:
        finished(stack, create_mailing(stack, "browser-refused", text="Did it come?"))
    finally:
        stack.control()
    with visits.visit(role=Role.EDITOR) as seen:
        page = seen.page
        page.get_by_label("Find a mailing, client").fill(f"+7 ({phone[1:4]}) {phone[4:7]}-{phone[7:9]}-{phone[9:]}")
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Client {phone}")
        row = page.get_by_role("region", name="Messages").locator("tbody tr")
        expect(row).to_contain_text("refused by the provider")
        row.get_by_role("link").first.click()

        expect(page.get_by_role("heading", name="Why it is where it is")).to_be_visible()
        expect(page.locator("#message")).to_contain_text("Nothing: it has ended.")
        expect(page.locator("#message .status")).to_have_text("failed")
        message_id = visits.path_of(page).removeprefix("messages/")
        explained = stack.request("GET", f"/messages/{message_id}/explain").json()
        expect(page.locator("#message")).to_contain_text(explained["explanation"])
        assert seen.complaints == []
        page.get_by_role("link", name="Its journal").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Journal of a message")
        read_until(page, "sender")
        assert phone not in page.content()


def test_an_opt_out_explains_itself_too_and_viewers_see_no_whole_phone(visits: Visits, stack: RunningStack) -> None:
    phone = client_with(stack, "browser-opted-out")
    stack.request("POST", "/suppressions", {"phone": phone}).raise_for_status()
    made = create_mailing(stack, "browser-opted-out", text="Nobody gets this")
    finished(stack, made)
    with visits.visit(f"search?q={phone}", role=Role.VIEWER) as seen:
        page = seen.page
        masked = f"*******{phone[-4:]}"
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Client {masked} opted out")
        expect(page.get_by_text("No messages: this client was in the audience of no mailing")).to_be_visible()
        page.get_by_role("link", name="Opt-outs").click()
        page.get_by_label("Find a phone").fill(phone)
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_role("region", name="Opt-outs").locator("tbody tr")).to_contain_text(masked)
        expect(page.get_by_role("link", name="Lift")).to_have_count(0)
        assert seen.complaints == []


def test_messages_are_looked_through_by_status_and_reason(visits: Visits, stack: RunningStack) -> None:
    for _ in range(2):
        client_with(stack, "browser-sorted")
    made = create_mailing(stack, "browser-sorted", text="Sorted")
    finished(stack, made)
    with visits.visit(f"mailings/{made}", role=Role.VIEWER) as seen:
        page = seen.page
        page.get_by_role("link", name="sent: 2").click()
        rows = page.get_by_role("region", name="Messages").locator("tbody tr")
        expect(rows).to_have_count(2)
        page.get_by_label("Reason").select_option("refused")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_text("No message of this mailing is so.")).to_be_visible()
        page.get_by_role("link", name="To the mailing").click()
        assert seen.complaints == []
        page.get_by_role("link", name="Journal").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Journal of a mailing")
        read_until(page, "mailing created")
