"""The same work in other ways: in Russian, in the dark, on a phone, by keyboard alone, without scripts."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect

from chalicelib.admin.roles import Role
from tests.browser.visits import PHONE, Visits, log_in
from tests.e2e.steps import finished, load_clients, phones
from tests.running_stack import RunningStack

TO_FINISH_MS = 90_000
TABS = 60  # until something is focused, at most
NUMBER = 2
RUSSIAN = re.compile(r"[\u0400-\u04ff]{3}")


@pytest.fixture(scope="module")
def audience(stack: RunningStack) -> str:
    """The tag of two clients."""
    load_clients(stack, NUMBER, "browser-ways")
    return "browser-ways"


def darkness(page: Page) -> bool:
    red, green, blue = map(int, re.findall(r"\d+", ground(page))[:3])
    return red + green + blue < 3 * 64


def ground(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def choose(page: Page, field: str, value: str) -> None:
    page.locator(f"#{field}").select_option(value)
    page.locator("main form button").click()
    expect(page.get_by_role("status")).to_be_visible()


def test_whoever_asks_for_russian_gets_it_and_may_choose_english(visits: Visits) -> None:
    with visits.visit("preferences", language="ru-RU") as seen:
        page = seen.page
        expect(page.locator("html")).to_have_attribute("lang", "ru")
        choose(page, "language", "en")
        expect(page.locator("html")).to_have_attribute("lang", "en")
        choose(page, "language", "ru")
        page.get_by_role("link", name="Vestnik").click()
        expect(page.locator("html")).to_have_attribute("lang", "ru")
        expect(page.get_by_role("main")).to_have_text(RUSSIAN)
        assert seen.complaints == []


def test_the_dark_theme_is_chosen_or_the_systems(visits: Visits) -> None:
    with visits.visit("preferences", theme="dark") as seen:
        assert darkness(seen.page)
        choose(seen.page, "theme", "light")
        assert not darkness(seen.page)
    with visits.visit("preferences", theme="light") as seen:
        assert not darkness(seen.page)
        choose(seen.page, "theme", "dark")
        assert darkness(seen.page)
        seen.page.goto(f"{visits.address}mailings")
        assert darkness(seen.page)
        assert seen.complaints == []


def test_times_are_in_the_readers_zone_which_is_named(visits: Visits, stack: RunningStack) -> None:
    body = {"phone": next(phones), "timezone": "Europe/Moscow"}
    client = stack.request("POST", "/clients", body).json()
    with visits.visit(role=None, zone="Asia/Tokyo") as seen:
        log_in(seen.page, "viewer")
        expect(seen.page.locator("footer")).to_contain_text("Asia/Tokyo")
        seen.page.goto(f"{visits.address}clients/{client['id']}")
        expect(seen.page.locator("dl.facts")).to_contain_text(local_time(client["created_at"], "Asia/Tokyo"))
        seen.page.goto(f"{visits.address}preferences")
        seen.page.get_by_label("Another time zone").fill("+05:30")
        seen.page.get_by_role("button", name="Save").click()
        expect(seen.page.locator("footer")).to_contain_text("+05:30")
        assert seen.complaints == []


def local_time(moment: str, zone: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)):%H:%M:%S}"


def test_on_a_phone_a_mailing_is_made_and_started(visits: Visits, audience: str) -> None:
    with visits.visit(role=Role.SENDER, width=PHONE) as seen:
        page = seen.page
        page.get_by_role("link", name="Mailings", exact=True).click()
        page.get_by_role("link", name="New mailing").click()
        page.get_by_label("Text").fill("From the bus")
        page.get_by_label("Only tags").fill(audience)
        expect(page.locator("#preview")).to_contain_text(f"{NUMBER} clients")
        page.get_by_role("button", name="Start at its time").click()
        expect(page.locator("#state .status")).to_have_text("finished", timeout=TO_FINISH_MS)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
        assert seen.complaints == []


def focus(page: Page, wanted: Locator) -> None:
    """Press Tab until something has the focus."""
    for _ in range(TABS):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{wanted} is not reached by {TABS} tabs")


def press(page: Page, wanted: Locator, key: str = "Enter") -> None:
    focus(page, wanted)
    page.keyboard.press(key)


def test_a_keyboard_is_enough(visits: Visits, audience: str) -> None:
    with visits.visit(role=None) as seen:
        page = seen.page
        expect(page.get_by_label("User")).to_be_focused()
        page.keyboard.type("sender")
        focus(page, page.get_by_label("Password"))
        page.keyboard.type("sender")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard")
        expect(page.get_by_role("contentinfo")).to_have_text("Times in Europe/Moscow")  # read once more for it

        press(page, page.get_by_role("link", name="Mailings", exact=True))
        expect(page.get_by_role("heading", level=1)).to_have_text("Mailings")
        press(page, page.get_by_role("link", name="Skip to the content"))
        press(page, page.get_by_role("link", name="New mailing"))
        expect(page.get_by_role("heading", level=1)).to_have_text("New mailing")
        focus(page, page.get_by_label("Text"))
        page.keyboard.type("By keyboard")
        focus(page, page.get_by_label("Only tags"))
        page.keyboard.type(audience)
        press(page, page.get_by_role("button", name="Save as draft"), "Space")
        expect(page.locator("#state .status")).to_have_text("draft")
        press(page, page.get_by_role("link", name="Start…"))
        expect(page.get_by_text(f"Sends {NUMBER} messages.")).to_be_visible()
        press(page, page.get_by_role("button", name="Start"), "Space")
        expect(page.locator("#state .status")).to_have_text("finished", timeout=TO_FINISH_MS)

        press(page, page.locator("details.menu summary"), "Space")
        press(page, page.get_by_role("button", name="Log out"))
        expect(page.get_by_role("heading", level=1)).to_have_text("You are logged out")
        assert seen.complaints == []


def test_no_script_is_needed(visits: Visits, audience: str) -> None:
    with visits.visit("mailings/new", role=Role.SENDER, script=False) as seen:
        page = seen.page
        page.get_by_label("Text").fill("Without scripts")
        page.get_by_label("Only tags").fill(audience)
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#preview")).to_contain_text(f"{NUMBER} clients")
        page.get_by_role("button", name="Save as draft").click()
        page.get_by_role("link", name="Start…").click()
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_role("status")).to_contain_text("The mailing starts at its time")
        finished(visits.stack, visits.path_of(page).partition("?")[0].removeprefix("mailings/"))
        page.reload()
        expect(page.locator("#state .status")).to_have_text("finished")
        expect(page.locator("#progress")).to_contain_text(f"{NUMBER} of {NUMBER} messages are done.")
        assert seen.complaints == []
