"""What people do with mailings: create, start, watch, pause, retry, cancel, duplicate, delete."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from chalicelib.admin.roles import Role
from tests.browser.visits import Visits
from tests.e2e.steps import counts_until, create_mailing, finished, load_clients, phones, planned, statistics_of
from tests.running_stack import RunningStack

TO_FINISH_MS = 90_000
ZONE = "Asia/Yekaterinburg"
NUMBER = 6


@pytest.fixture(scope="module")
def audience(stack: RunningStack) -> str:
    """The tag of six clients."""
    load_clients(stack, NUMBER, "browser", timezone=ZONE)
    return "browser"


@pytest.fixture
def waiting(stack: RunningStack, audience: str) -> str:
    """A mailing that runs, whose clients' hours begin in some hours."""
    now = datetime.now(ZoneInfo(ZONE))
    window = {"from": f"{now + timedelta(hours=2):%H:%M}", "to": f"{now + timedelta(hours=3):%H:%M}"}
    made = create_mailing(
        stack, audience, text="Not before noon", window=window, end_at=datetime.now(UTC) + timedelta(days=1)
    )
    counts_until(stack, made, "deferred", at_least=NUMBER)
    planned(stack, made)
    return made


def confirm(page: Page, action: str, effect: str) -> None:
    """Begin an action, read what it will do, and do it."""
    page.get_by_role("link", name=f"{action}…").click()
    expect(page.locator(".effect").filter(has_text=effect)).to_be_visible()
    page.get_by_role("button", name=action, exact=True).click()


def state(page: Page, word: str) -> None:
    """Wait until the page shows that its mailing is so."""
    expect(page.locator("#state .status")).to_have_text(word, timeout=TO_FINISH_MS)


def shown_counts(page: Page) -> dict[str, int]:
    cells = [row.inner_text().split("\t") for row in page.locator("#progress tbody tr").all()]
    return {status.strip(): int(number.replace(",", "")) for status, number, *_ in cells}


def id_of(visits: Visits, page: Page) -> str:
    found = re.match(r"mailings/(\w{26})", visits.path_of(page))
    assert found, page.url
    return found[1]


def test_what_is_wrong_is_said_beside_the_fields_and_nothing_is_lost(visits: Visits) -> None:
    with visits.visit("mailings/new", role=Role.EDITOR) as seen:
        page = seen.page
        typed = {"Start": "2030-01-02T10:00", "End": "2030-01-01T10:00", "Only operator codes": "916 x1"}
        for label, value in typed.items():
            page.get_by_label(re.compile(f"^{label}")).fill(value)
        page.get_by_label("Only tags").fill("vip\nnew & old")
        page.get_by_label("Only from").fill("09:00")
        page.get_by_role("button", name="Save as draft").click()

        expect(page.get_by_role("alert")).to_contain_text("Nothing was saved")
        for name in ("text", "operator_codes", "window_to"):
            expect(page.locator(f"#{name}")).to_have_attribute("aria-invalid", "true")
            fault = page.locator(f"#{name}-fault")
            expect(page.locator(f"#{name}")).to_have_accessible_description(re.compile(re.escape(fault.inner_text())))
        expect(page.locator("#operator_codes-fault")).to_contain_text("x1: ")
        for label, value in typed.items():
            expect(page.get_by_label(re.compile(f"^{label}"))).to_have_value(value)
        expect(page.get_by_label("Only tags")).to_have_value("vip\nnew & old")

        page.get_by_label("Text").fill("Sale")
        page.get_by_label("Only operator codes").fill("916")
        page.get_by_label("Only until").fill("21:00")
        page.get_by_role("button", name="Save as draft").click()

        expect(page.locator("#end_at-fault")).to_contain_text("must be after")
        expect(page.locator("[aria-invalid=true]")).to_have_count(1)


def test_a_mailing_is_made_previewed_changed_started_and_watched_to_its_end(visits: Visits, audience: str) -> None:
    with visits.visit("mailings", role=Role.SENDER) as seen:
        page = seen.page
        page.get_by_role("link", name="New mailing").click()
        page.get_by_label("Only tags").fill(audience)
        page.get_by_label("Text").fill("We moved")
        preview = page.locator("#preview")
        expect(preview).to_contain_text(f"{NUMBER} clients")
        expect(preview.get_by_role("row", name=ZONE)).to_contain_text(str(NUMBER))
        page.get_by_label("Text").fill("я" * 71)
        expect(preview).to_contain_text("2 (UCS-2)")
        page.get_by_role("button", name="Save as draft").click()

        expect(page.get_by_role("status")).to_have_text("Saved.")
        state(page, "draft")
        page.get_by_role("link", name="Change").click()
        page.get_by_label("Text").fill("We moved to another street")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("We moved to another street")

        confirm(page, "Start", f"Sends {NUMBER} messages.")
        expect(page.get_by_role("status")).to_contain_text("The mailing starts at its time")
        page.evaluate("window.loaded = 'once'")
        state(page, "finished")
        expect(page.locator("#progress")).to_contain_text(f"{NUMBER} of {NUMBER} messages are done.")
        expect(page.get_by_role("img")).to_have_js_property("complete", value=True)
        assert page.get_by_role("img").evaluate("image => image.naturalWidth") > 0
        assert page.evaluate("window.loaded") == "once"

        counts = statistics_of(visits.stack, id_of(visits, page))["messages"]
        assert shown_counts(page) == {name: number for name, number in counts.items() if name != "total"}
        assert counts["sent"] == NUMBER
        assert seen.complaints == []


def test_a_mailing_is_paused_resumed_cancelled_and_deleted(visits: Visits, waiting: str) -> None:
    with visits.visit(f"mailings/{waiting}", role=Role.SENDER) as seen:
        page = seen.page
        confirm(page, "Pause", f"Holds {NUMBER} unsent messages until the mailing is resumed.")
        state(page, "paused")
        confirm(page, "Resume", f"Goes on to send {NUMBER} messages")
        state(page, "running")
        page.get_by_role("link", name="Cancel…").click()
        page.get_by_role("link", name="Leave it as it is").click()
        state(page, "running")
        confirm(page, "Cancel", f"Stops {NUMBER} unsent messages for good.")
        state(page, "cancelled")
        expect(page.locator("#progress").get_by_role("row", name="cancelled")).to_contain_text(
            str(NUMBER), timeout=TO_FINISH_MS
        )
        confirm(page, "Delete", f"Takes the mailing and its {NUMBER} messages out of all lists and totals.")
        expect(page.get_by_role("status")).to_have_text("Deleted.")
        assert seen.complaints == []
    assert visits.stack.request("GET", f"/mailings/{waiting}").status_code == 404


def test_what_the_provider_refused_is_sent_again_by_a_retry(visits: Visits, audience: str) -> None:
    stack = visits.stack
    stack.control(status=400)
    try:
        made = create_mailing(stack, audience, text="Refused at first")
        assert finished(stack, made)["messages"]["failed"] == NUMBER
    finally:
        stack.control()
    with visits.visit(f"mailings/{made}", role=Role.SENDER) as seen:
        expect(seen.page.locator("#errors").get_by_role("row")).to_have_count(2)
        confirm(seen.page, "Retry the failed", f"Queues {NUMBER} failed messages again.")
        expect(seen.page.locator("#progress").get_by_role("row", name=re.compile("^sent"))).to_contain_text(
            f"{NUMBER}", timeout=TO_FINISH_MS
        )
        state(seen.page, "finished")
        assert shown_counts(seen.page)["failed"] == 0
        assert seen.complaints == []


def test_a_copy_is_a_mailing_of_its_own(visits: Visits, stack: RunningStack) -> None:
    original = create_mailing(stack, "nobody-has-this", text="Twice", draft=True, on_uncertain="hold")
    with visits.visit(f"mailings/{original}", role=Role.EDITOR) as seen:
        page = seen.page
        page.get_by_role("link", name="Duplicate").click()
        expect(page.get_by_label("Text")).to_have_value("Twice")
        expect(page.get_by_label("Only tags")).to_have_value("nobody-has-this")
        expect(page.get_by_label("If nobody knows")).to_have_value("hold")
        page.get_by_label("Text").fill("Twice, or thrice")
        page.get_by_role("button", name="Save as draft").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Twice, or thrice")
        assert id_of(visits, page) != original
        assert seen.complaints == []
    assert stack.request("GET", f"/mailings/{original}").json()["text"] == "Twice"


def test_a_test_goes_to_one_client_and_counts_nowhere(visits: Visits, stack: RunningStack) -> None:
    phone = next(phones)
    stack.request("POST", "/clients", {"phone": phone, "timezone": ZONE}).raise_for_status()
    draft = create_mailing(stack, "nobody-has-this", text="How does it look?", draft=True)
    with visits.visit(f"mailings/{draft}", role=Role.SENDER) as seen:
        page = seen.page
        page.get_by_role("link", name="Send a test").click()
        page.get_by_label("Phone of a client").fill(phone)
        page.get_by_role("button", name="Send the test").click()
        expect(page.locator("#message .status")).to_have_text("sent", timeout=TO_FINISH_MS)
        assert seen.complaints == []
    assert statistics_of(stack, draft)["messages"]["total"] == 0


def test_two_who_change_the_same_mailing_learn_of_each_other(visits: Visits, stack: RunningStack) -> None:
    made = create_mailing(stack, "nobody-has-this", text="As it was", draft=True)
    with visits.visit(f"mailings/{made}/edit", role=Role.EDITOR) as seen:
        page = seen.page
        stack.request("PATCH", f"/mailings/{made}", {"text": "As somebody else wants it"}).raise_for_status()
        page.get_by_label("Text").fill("As I want it")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#text-present")).to_contain_text("As somebody else wants it")
        expect(page.get_by_label("Text")).to_have_value("As I want it")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("As I want it")


def test_mailings_are_found_by_words_and_by_status(visits: Visits, stack: RunningStack) -> None:
    create_mailing(stack, "nobody-has-this", text="A needle in the hay", draft=True)
    with visits.visit("mailings", role=Role.VIEWER) as seen:
        page = seen.page
        page.get_by_label("Search").fill("NEEDLE")
        page.get_by_label("Status").select_option("draft")
        page.get_by_role("button", name="Show").click()
        rows = page.locator("#listed tbody tr")
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("A needle in the hay")
        page.get_by_label("Status").select_option("finished")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#listed .empty")).to_contain_text("No mailing is like that")
        assert seen.complaints == []
