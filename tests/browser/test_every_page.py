"""Every page by itself: each is opened once, and looked at in light, in dark and as narrow as a phone."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.examples import EXAMPLES, OTHERS, ROUTES, Example
from tests.browser.looks import keyboard_faults, misfits, violations
from tests.browser.samples import samples
from tests.browser.visits import PHONE, WIDE, Visits
from tests.browser.watched import HEIGHT, Watched
from tests.running_stack import RunningStack

MAX_REQUESTS = 8
MAX_KB = 100
# A theme changes nothing but colours.
LOOKS: dict[str, tuple[Literal["light", "dark"], int, tuple[str, ...]]] = {
    "light": ("light", WIDE, ()),
    "dark": ("dark", WIDE, ("color-contrast",)),
    "phone": ("light", PHONE, ()),
}
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def made(stack: RunningStack) -> Iterator[Mapping[str, str]]:
    with samples(stack) as names:
        yield names


@pytest.fixture(scope="module", params=EXAMPLES, ids=str)
def example(request: pytest.FixtureRequest) -> Example:
    found: Example = request.param
    return found


@pytest.fixture(scope="module")
def opened(visits: Visits, made: Mapping[str, str], example: Example) -> Iterator[Watched]:
    """The page of an example, whose scripts have run."""
    # Where nobody's zone is known yet, a page is read once more as soon as the script has told it.
    zone = "Europe/Moscow" if example.role else "UTC"
    with visits.visit(example.address.format(**made), role=example.role, zone=zone) as seen:
        show(seen.page, example, made)
        yield seen


def show(page: Page, example: Example, made: Mapping[str, str]) -> None:
    if example.press:
        with page.expect_navigation():
            page.locator(example.press).click()
    expect(page.locator(example.shows.format(**made)).first).to_be_visible()


def keep_picture(page: Page, example: Example, look: str) -> None:
    """Write what is seen to the folder that SCREENSHOTS names, if it does."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.wait_for_load_state("networkidle")  # another theme has another chart
        name = re.sub(r"[^a-z0-9]+", "-", f"{example} {look}").strip("-")
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.mark.parametrize("route", ROUTES)
def test_each_route_has_an_example(route: str) -> None:
    has = route in OTHERS or any(example.is_of(route) for example in EXAMPLES)

    assert has, f"GET {route} has no example: add one to EXAMPLES in tests/browser/examples.py"


@pytest.mark.parametrize("route", OTHERS)
def test_what_is_no_page_answers_with_what_it_is(visits: Visits, made: Mapping[str, str], route: str) -> None:
    address, answers = OTHERS[route]
    with visits.visit("preferences") as seen:
        got = seen.page.context.request.get(f"{visits.address}{address.format(**made)}", max_redirects=0)

        assert got.status in {200, 303}
        assert answers in (got.headers.get("location") or got.headers["content-type"])


def test_a_page_is_whole_small_and_from_here_alone(
    visits: Visits, opened: Watched, example: Example, record_property: Record
) -> None:
    shown = [request for request in opened.requests if request.is_navigation_request()][-1]
    requests = opened.requests[opened.requests.index(shown) :]
    assert [f"{request.url}: {request.failure}" for request in requests if request.failure] == []
    sizes = [request.sizes() for request in requests]
    transferred = sum(size["responseHeadersSize"] + size["responseBodySize"] for size in sizes) / 1000
    record_property("page", str(example))
    record_property("kb", transferred)
    record_property("requests", len(requests))
    answer = shown.response()
    page = opened.page
    # The browser notes each answer that is an error, this page's own too.
    complaints = [said for said in opened.complaints if f"status of {int(example.status)}" not in said]

    assert answer
    assert answer.status == example.status
    assert re.fullmatch(r"\S.* · Vestnik", page.title())
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    assert complaints == []
    assert {urlsplit(request.url).netloc for request in requests} == {urlsplit(visits.address).netloc}
    assert transferred <= MAX_KB
    assert len(requests) <= MAX_REQUESTS


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_and_all_of_it_fits(
    opened: Watched, example: Example, look: str, record_property: Record
) -> None:
    theme, width, rules = LOOKS[look]
    opened.page.emulate_media(color_scheme=theme)
    opened.page.set_viewport_size({"width": width, "height": HEIGHT})
    keep_picture(opened.page, example, look)

    found = violations(opened.page, *rules)

    record_property("page", str(example))
    record_property("axe", len(found))
    assert found == []
    assert misfits(opened.page) == []


def test_the_keyboard_reaches_all_of_a_page(opened: Watched, example: Example) -> None:
    page = opened.page
    page.set_viewport_size({"width": WIDE, "height": HEIGHT})
    assert keyboard_faults(page) == []

    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    if example.role:
        page.locator("summary").first.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Log out")).to_be_in_viewport()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Log out")).to_be_hidden()


def test_a_page_needs_no_script_and_fits_in_russian(visits: Visits, made: Mapping[str, str], example: Example) -> None:
    address = example.address.format(**made)
    with visits.visit(address, role=example.role, language="ru", script=False) as seen:
        show(seen.page, example, made)
        keep_picture(seen.page, example, "russian")
        seen.page.set_viewport_size({"width": PHONE, "height": HEIGHT})

        expect(seen.page.locator("html")).to_have_attribute("lang", "ru")
        assert misfits(seen.page) == []
