"""What a browser is sent of `/docs/`."""

import re

import pytest

from tests.gateway import Answer, Gateway

pytestmark = pytest.mark.usefixtures("built")
stranger = Gateway()


def page() -> Answer:
    return stranger("GET", "/docs/")


def test_the_page_is_open_to_all_and_lets_nothing_in_from_elsewhere() -> None:
    answer = page()
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_without_the_slash_the_way_to_the_page_is_relative_and_so_right_under_any_stage() -> None:
    answer = stranger("GET", "/docs")
    assert (answer.status, answer.headers["Location"]) == (308, "./docs/")


def test_browsers_may_keep_what_the_page_consists_of_by_its_version() -> None:
    addresses = re.findall(r'(?:src|href)="(\./[^"]+)"', page().text)
    assert len(addresses) == 4
    for address in addresses:
        answer = stranger("GET", f"/docs/{address.removeprefix('./')}")
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
        assert answer.headers["Content-Type"] == f"text/{'css' if '.css' in address else 'javascript'}; charset=utf-8"
        assert re.search(r"\?v=[0-9a-f]{12}$", address)


@pytest.mark.parametrize("file", ["index.html", "html.py", "..%2F__init__.py", "..", ".", "%00", "nothing.js"])
def test_there_are_no_other_files(file: str) -> None:
    answer = stranger("GET", f"/docs/{file}")
    assert (answer.status, answer.json["detail"]) == (404, "there is nothing at this address")


def test_the_page_cannot_be_posted_to() -> None:
    assert stranger("POST", "/docs").headers["Allow"] == "GET, HEAD"
