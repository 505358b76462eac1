"""What people do with clients: import, find, create, change, delete, opt out, export."""

import csv
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, expect

from chalicelib.admin.roles import Role
from tests.browser.visits import Visits
from tests.browser.watched import Watched
from tests.e2e.steps import phones
from tests.running_stack import RunningStack

IMPORT_MS = 60_000
NEW, TWICE = next(phones), next(phones)
ROWS = f"""phone,timezone,tag
{NEW},Europe/Moscow,browser-import
8916,Europe/Moscow,browser-import
{TWICE},Mars/Phobos,browser-import
{TWICE},+05:00,browser-import
"""


def upload(page: Page, content: str, name: str = "clients.csv") -> None:
    page.get_by_role("button", name="Choose a file").click()
    page.get_by_label("CSV file").set_input_files(FilePayload(name=name, mimeType="text/csv", buffer=content.encode()))
    page.get_by_role("button", name="Upload and import").click()


def imported(page: Page) -> None:
    expect(page.locator("#progress .status")).to_have_text("finished", timeout=IMPORT_MS)


def fact(page: Page, name: str) -> str:
    return page.locator("dl.facts dt", has_text=name).locator("xpath=following-sibling::dd[1]").inner_text()


@pytest.fixture
def client(stack: RunningStack) -> dict[str, str]:
    body = {"phone": next(phones), "timezone": "Europe/Moscow", "tag": "browser-client"}
    made: dict[str, str] = stack.request("POST", "/clients", body).json()
    return made


def test_a_file_is_imported_and_its_faulty_rows_are_listed(visits: Visits) -> None:
    with visits.visit("clients", role=Role.EDITOR) as seen:
        page = seen.page
        page.get_by_role("link", name="Import").click()
        upload(page, ROWS)
        imported(page)
        facts = {name: fact(page, name) for name in ("Rows", "Created", "Refused")}
        assert facts == {"Rows": "4", "Created": "2", "Refused": "2"}
        refused = page.get_by_role("region", name="Refused rows").locator("tbody tr")
        expect(refused).to_have_count(2)
        assert [row.inner_text().split("\t")[:2] for row in refused.all()] == [["3", "phone"], ["4", "timezone"]]
        page.get_by_role("link", name="To the list").click()
        page.get_by_label("Tag").fill("browser-import")
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_role("region", name="Clients").locator("tbody tr")).to_have_count(2)
        assert seen.complaints == []


def test_a_file_of_opt_outs_is_imported(visits: Visits, client: dict[str, str]) -> None:
    with visits.visit("suppressions", role=Role.EDITOR) as seen:
        seen.page.get_by_role("link", name="Import").click()
        upload(seen.page, f"phone\n{client['phone']}\n")
        imported(seen.page)
        assert fact(seen.page, "Created") == "1"
        seen.page.goto(f"{visits.address}clients/{client['id']}")
        expect(seen.page.get_by_role("heading", level=1)).to_contain_text("opted out")
        assert seen.complaints == []


def test_a_client_is_created_changed_and_deleted(visits: Visits, stack: RunningStack) -> None:
    phone = next(phones)
    with visits.visit("clients", role=Role.EDITOR) as seen:
        page = seen.page
        page.get_by_role("link", name="New client").click()
        page.get_by_label("Phone").fill("123")
        page.get_by_label("Time zone").fill("Europe/Moscow")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_label("Phone")).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#phone-fault")).to_have_text("This must be 7 and ten digits.")
        expect(page.get_by_label("Time zone")).to_have_value("Europe/Moscow")

        page.get_by_label("Phone").fill(f"+7 {phone[1:4]} {phone[4:]}")
        page.get_by_label("Tag").fill("browser-new")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Client {phone}")
        client_id = page.url.rpartition("/")[2].partition("?")[0]
        page.get_by_role("link", name="Change").click()
        page.get_by_label("Time zone").fill("Asia/Omsk")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_have_text("Saved.")
        assert stack.request("GET", f"/clients/{client_id}").json()["timezone"] == "Asia/Omsk"

        page.get_by_role("link", name="Delete").click()
        expect(page.get_by_text("deleted for good")).to_be_visible()
        page.get_by_role("button", name="Delete the client").click()
        expect(page.get_by_role("status")).to_have_text("Deleted.")
        assert stack.request("GET", f"/clients/{client_id}").status_code == 404


def test_a_phone_that_somebody_has_is_not_given_twice(visits: Visits, client: dict[str, str]) -> None:
    with visits.visit("clients/new", role=Role.EDITOR) as seen:
        seen.page.get_by_label("Phone").fill(client["phone"])
        seen.page.get_by_label("Time zone").fill("Europe/Moscow")
        seen.page.get_by_role("button", name="Save").click()
        expect(seen.page.get_by_role("alert")).to_contain_text("phone")
        expect(seen.page.get_by_label("Phone")).to_have_value(client["phone"])


def test_an_opt_out_is_made_and_lifted(visits: Visits, client: dict[str, str]) -> None:
    with visits.visit(f"clients/{client['id']}", role=Role.EDITOR) as seen:
        page = seen.page
        page.get_by_role("link", name="Opt out").click()
        expect(page.get_by_text("Nothing is sent to this phone any more")).to_be_visible()
        expect(page.get_by_text("It has no open messages")).to_be_visible()
        page.get_by_role("button", name="Opt out").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("opted out")
        page.get_by_role("link", name="Lift the opt-out").click()
        expect(page.get_by_text("From now on this phone gets messages again")).to_be_visible()
        page.get_by_role("button", name="Lift the opt-out").click()
        expect(page.get_by_role("status")).to_have_text("Saved.")
        page.get_by_label("Find a phone").fill(client["phone"])
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_text("This phone has not opted out.")).to_be_visible()
        assert seen.complaints == []


def test_an_export_holds_the_list_and_no_formulas(visits: Visits, stack: RunningStack, tmp_path: Path) -> None:
    formula = "=cmd|' /C calc'!A0"
    phone = next(phones)
    stack.request("POST", "/clients", {"phone": phone, "timezone": "+03:00", "tag": formula}).raise_for_status()
    with visits.visit("clients", role=Role.EDITOR) as seen:
        seen.page.get_by_label("Tag").fill(formula)
        seen.page.get_by_role("button", name="Find").click()
        expect(seen.page.get_by_role("region", name="Clients").locator("tbody tr")).to_have_count(1)
        exported = downloaded(seen, tmp_path)
        assert seen.complaints == []
    with exported.open(encoding="utf-8-sig", newline="") as file:
        header, row = csv.reader(file)
    written = dict(zip(header, row, strict=True))
    assert written["phone"].lstrip("'") == phone
    assert written["tag"] == f"'{formula}"
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)


def downloaded(seen: Watched, folder: Path) -> Path:
    with seen.page.expect_download() as started:
        seen.page.get_by_role("link", name="Export CSV").click()
    assert started.value.suggested_filename == "clients.csv"
    started.value.save_as(folder / "clients.csv")
    return folder / "clients.csv"
