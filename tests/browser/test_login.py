"""In and out of the pages, by the development issuer."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from chalicelib.admin.pages import SESSION_COOKIE
from chalicelib.admin.roles import Role
from local_issuer.people import USERS
from tests.browser.visits import Visits, log_in
from tests.running_stack import RunningStack, poll

# What of the navigation somebody of a role sees.
SECTIONS = ["Dashboard", "Mailings", "Clients", "Opt-outs"]
ADMINS = [*SECTIONS, "Dead letters", "Audit"]


def log_out(page: Page) -> None:
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Log out").click()


@contextmanager
def other_roles_claim(stack: RunningStack) -> Iterator[None]:
    """Have the pages look for roles in a claim that the development issuer does not know."""
    functions, name = stack.client("lambda"), f"{stack.info.stack_name}-api"
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    changed = before | {"ROLES_CLAIM": "https://vestnik.example/roles"}

    def set_to(variables: dict[str, str]) -> None:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
        # The emulator ends the processes that are warm, and a call that comes just then is answered 502.
        poll(
            lambda: [stack.request("GET", "/health").status_code for _ in range(3)],
            until=lambda statuses: set(statuses) == {200},
            deadline_seconds=60,
        )

    set_to(changed)
    try:
        yield
    finally:
        set_to(before)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_logs_in_and_sees_what_is_for_it(visits: Visits, role: Role) -> None:
    with visits.visit(role=None) as seen:
        log_in(seen.page, role.value)

        expect(seen.page.locator("details.menu summary")).to_have_text(f"{USERS[role].name} {role}")
        links = seen.page.get_by_role("navigation", name="Main").get_by_role("link")
        expect(links).to_have_text(ADMINS if role is Role.ADMIN else SECTIONS)
        assert visits.path_of(seen.page) == ""
        assert seen.complaints == []


def test_one_comes_back_to_where_one_was_with_what_was_asked(visits: Visits) -> None:
    asked = "mailings?status=finished&q=spring+%26+summer"
    with visits.visit(asked, role=None) as seen:
        log_in(seen.page, "viewer")

        expect(seen.page.get_by_label("Search")).to_have_value("spring & summer")
        expect(seen.page.get_by_label("Status")).to_have_value("finished")
        assert visits.path_of(seen.page) == asked
        assert seen.complaints == []


def test_with_a_wrong_password_one_stays_outside(visits: Visits) -> None:
    with visits.visit(role=None) as seen:
        seen.page.get_by_label("User").fill("admin")
        seen.page.get_by_label("Password").fill("viewer")
        seen.page.get_by_role("button", name="Log in").click()

        expect(seen.page.get_by_role("alert")).to_contain_text("the password is another")
        assert SESSION_COOKIE not in {cookie["name"] for cookie in seen.page.context.cookies()}
        seen.page.goto(f"{visits.address}mailings")
        expect(seen.page.get_by_label("Password")).to_be_visible()


def test_whoever_has_no_role_is_told_so_and_may_be_somebody_else(visits: Visits) -> None:
    with other_roles_claim(visits.stack), visits.visit(role=None) as seen:
        log_in(seen.page, "sender")

        expect(seen.page.get_by_role("heading", level=1)).to_have_text("You have no role here")
        expect(seen.page.get_by_text("Svetlana Sender, your login is good")).to_be_visible()
        assert SESSION_COOKIE not in {cookie["name"] for cookie in seen.page.context.cookies()}
        seen.page.get_by_role("link", name="Log in as somebody else").click()
        seen.page.get_by_role("link", name="Log in").click()
        expect(seen.page.get_by_label("Password")).to_be_visible()


def test_after_the_logout_nothing_is_shown_and_the_issuer_asks_anew(visits: Visits) -> None:
    with visits.visit("clients", role=None) as seen:
        log_in(seen.page, "editor")
        expect(seen.page.get_by_role("heading", level=1)).to_have_text("Clients")
        log_out(seen.page)

        expect(seen.page).to_have_url(f"{visits.address}logged-out")
        expect(seen.page.get_by_role("heading", level=1)).to_have_text("You are logged out")
        assert SESSION_COOKIE not in {cookie["name"] for cookie in seen.page.context.cookies()}
        seen.page.go_back()
        expect(seen.page.get_by_label("Password")).to_be_visible()
        assert seen.complaints == []


def test_scripts_cannot_read_the_session(visits: Visits) -> None:
    with visits.visit() as seen:
        (cookie,) = [each for each in seen.page.context.cookies() if each["name"] == SESSION_COOKIE]
        readable = json.dumps(seen.page.evaluate("[document.cookie, {...localStorage}, {...sessionStorage}]"))

        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        assert visits.address.endswith(f"{cookie['path']}/")
        assert cookie["value"] not in readable
        assert SESSION_COOKIE not in readable
        assert seen.complaints == []
