from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from app import importer
from chalicelib.admin.roles import Role
from chalicelib.bootstrap import Application, utc_now
from chalicelib.domain.bulk_import import UPLOAD_TIME
from tests.builders import ulid
from tests.fakes.imports import FakeUploads
from tests.gateway import Gateway
from tests.import_world import csv_of, phones
from tests.visitor import Read, Visitor, visiting

As = Callable[[Role], Visitor]
KINDS = pytest.mark.parametrize("kind", ["clients", "suppressions"])


@pytest.fixture
def uploads(built: Application) -> Iterator[FakeUploads]:
    """Put files in memory in the place of S3's, and build anew what is built of them."""
    fake = FakeUploads()
    built.__dict__["uploads"] = fake
    built.__dict__.pop("manage_imports", None)
    yield fake
    for part in ("uploads", "manage_imports"):
        built.__dict__.pop(part, None)


@pytest.fixture
def by(api: Gateway, built: Application, uploads: FakeUploads) -> As:  # noqa: ARG001 - where the files are
    return lambda role: visiting(api, built, role)


class Context:
    """What a function is told of its run."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def begun(by: As, kind: str = "clients") -> str:
    answer = by(Role.EDITOR).post(f"{kind}/imports")
    assert answer.status == 303
    assert answer.headers["Location"].startswith(f"../{kind}/imports/")
    return answer.headers["Location"].removeprefix("../")


def run(path: str) -> None:
    body = f'{{"v": 1, "import_ids": ["{path.rpartition("/")[2]}"]}}'
    report = importer({"Records": [{"messageId": "one", "body": body}]}, Context())
    assert report == {"batchItemFailures": []}


def facts(page: str) -> dict[str, str]:
    words = Read(page).text
    return {name: words.split(f"{name} ")[1].split()[0] for name in ("Rows", "Created", "Unchanged", "Refused")}


@KINDS
def test_a_file_is_uploaded_by_a_plain_form_to_where_files_are_kept(by: As, kind: str) -> None:
    assert by(Role.EDITOR).look(f"{kind}/import").status == 200
    path = begun(by, kind)
    answer = by(Role.EDITOR).look(path)
    page = Read(answer.text)
    (form,) = page.of("form", enctype="multipart/form-data")
    assert (form["action"], form["method"]) == ("https://uploads.example/", "post")
    fields = {tag["name"]: tag["value"] for tag in page.of("input", type="hidden") if tag["name"] != "csrf"}
    assert fields["key"] == path.rpartition("/")[2]
    assert fields["success_action_redirect"] == f"http://127.0.0.1:4566/api/admin/{path}"
    inputs = [tag["name"] for tag in page.of("input") if tag["name"] != "csrf"]
    assert inputs[-1] == "file"
    policy = answer.headers["Content-Security-Policy"]
    assert "form-action 'self' https://uploads.example;" in policy
    assert "unsafe" not in policy


def test_only_the_page_with_the_form_lets_forms_be_sent_elsewhere(by: As) -> None:
    path = begun(by)
    for other in ("clients", "clients/import", f"{path}?bucket=b&key=k&etag=e"):
        assert "form-action 'self';" in by(Role.EDITOR).look(other).headers["Content-Security-Policy"]
    viewed = by(Role.VIEWER).look(path)
    assert "form-action 'self';" in viewed.headers["Content-Security-Policy"]
    assert "uploads.example" not in viewed.text


def test_behind_tls_the_browser_is_led_back_by_tls(api: Gateway, built: Application, by: As) -> None:
    path = begun(by)
    visitor = visiting(api, built, Role.EDITOR, host="vestnik.example")
    (back,) = Read(visitor.look(path).text).of("input", name="success_action_redirect")
    assert back["value"] == f"https://vestnik.example/api/admin/{path}"


def test_behind_a_proxy_the_browser_is_led_back_to_where_it_sees_the_pages(
    built: Application, by: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        built, "settings", built.settings.model_copy(update={"admin_url": "https://pages.example/admin/"})
    )
    path = begun(by)
    (back,) = Read(by(Role.EDITOR).look(path).text).of("input", name="success_action_redirect")
    assert back["value"] == f"https://pages.example/admin/{path}"


def test_after_the_upload_the_page_waits_and_follows(by: As) -> None:
    path = begun(by)
    page = Read(by(Role.EDITOR).look(f"{path}?bucket=b&key=k&etag=%22e%22").text)
    assert "the import begins in a moment" in page.text
    assert [part["data-live"] for part in page.of("section") if "data-live" in part] == ["2", "2"]
    assert not page.of("input", type="file")


def test_a_form_is_not_shown_when_its_time_is_over(by: As, built: Application) -> None:
    path = begun(by)
    built.__dict__.pop("manage_imports", None)
    before, built.clock = built.clock, lambda: utc_now() + UPLOAD_TIME + timedelta(minutes=1)
    try:
        page = Read(by(Role.EDITOR).look(path).text)
    finally:
        built.clock = before
    assert not page.of("input", type="file")
    assert "begin another import" in page.text


def test_what_came_of_the_rows_is_shown_and_the_refused_ones_page_by_page(by: As, uploads: FakeUploads) -> None:
    path = begun(by)
    rows = [*(f"{phone},Asia/Omsk," for phone in phones(3)), "7916,Asia/Omsk,<script>", "x,y,z", "1,2"]
    uploads.files[path.rpartition("/")[2]] = csv_of(rows).encode()
    run(path)
    answer = by(Role.VIEWER).look(f"{path}?bucket=b&key=k&etag=e&limit=2")
    assert facts(answer.text) == {"Rows": "6", "Created": "3", "Unchanged": "0", "Refused": "3"}
    page = Read(answer.text)
    assert "data-live" not in answer.text
    assert "finished" in page.text
    assert len(page.of("script")) == 1
    (onward,) = page.of("a", rel="next")
    rest = Read(by(Role.VIEWER).look(onward["href"].removeprefix("../../")).text)
    assert "has 2 cells, where the header has 3" in rest.text
    assert "has 2 cells" not in page.text


def test_phones_of_who_opted_out_are_imported(by: As, built: Application, uploads: FakeUploads) -> None:
    path = begun(by, "suppressions")
    uploads.files[path.rpartition("/")[2]] = csv_of(phones(2), header="phone").encode()
    run(path)
    assert facts(by(Role.VIEWER).look(path).text)["Created"] == "2"
    assert {one.phone for one in built.suppress_phones.page(None, 500).items} == {*phones(2)}


def test_an_import_that_failed_says_why(by: As, uploads: FakeUploads) -> None:
    path = begun(by)
    uploads.files[path.rpartition("/")[2]] = b"phone\n"
    run(path)
    assert "the header lacks timezone" in by(Role.VIEWER).look(path).text


@KINDS
def test_viewers_may_not_import(by: As, kind: str) -> None:
    assert by(Role.VIEWER).look(f"{kind}/import").status == 403
    assert by(Role.VIEWER).post(f"{kind}/imports").status == 403
    assert by(Role.EDITOR).post(f"{kind}/imports", {"csrf": "x"}).status == 403


def test_an_import_is_not_found_under_another_kind(by: As) -> None:
    path = begun(by)
    assert by(Role.VIEWER).look(path.replace("clients", "suppressions")).status == 404
    assert by(Role.VIEWER).look(f"clients/imports/{ulid(404)}").status == 404
    assert by(Role.VIEWER).look(f"{path}?cursor=x").status == 422
