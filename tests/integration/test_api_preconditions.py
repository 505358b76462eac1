from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.adapters.client_repository import DynamoClientRepository
from chalicelib.adapters.mailing_repository import DynamoMailingRepository
from chalicelib.adapters.tables import ClientItem
from chalicelib.api.schemas import write_moment
from chalicelib.bootstrap import utc_now
from tests.builders import ulid
from tests.gateway import Answer, Gateway
from tests.tables import items_of

CLIENT: dict[str, Any] = {"phone": "79161234567", "timezone": "Europe/Moscow"}
OTHER = '"00000000000000000000000000000000"'
PASSES, REFUSED = 1, 0


def mailing() -> dict[str, Any]:
    start_at = utc_now() + timedelta(hours=1)
    end_at = start_at + timedelta(hours=1)
    return {"start_at": write_moment(start_at), "end_at": write_moment(end_at), "text": "Hello", "draft": True}


@pytest.fixture(params=["clients", "mailings"])
def made(api: Gateway, request: pytest.FixtureRequest) -> tuple[str, Answer]:
    """Create an entity; its path and the answer."""
    answer = api("POST", f"/{request.param}", CLIENT if request.param == "clients" else mailing())
    assert answer.status == 201, answer.text
    return f"/{request.param}/{answer.json['id']}", answer


def change_of(path: str) -> dict[str, Any]:
    return {"tag": "vip"} if path.startswith("/clients") else {"text": "Goodbye"}


def test_an_entity_has_one_strong_tag_wherever_it_is_shown(api: Gateway, made: tuple[str, Answer]) -> None:
    path, created = made
    tag = created.headers["ETag"]
    assert tag.startswith('"')
    assert tag.endswith('"')
    assert api("GET", path).headers["ETag"] == tag
    changed = api("PATCH", path, change_of(path))
    assert changed.headers["ETag"] != tag
    assert api("GET", path).headers["ETag"] == changed.headers["ETag"]


def test_lists_and_problems_have_no_tag(api: Gateway, made: tuple[str, Answer]) -> None:
    path, _ = made
    assert "ETag" not in api("GET", path.rpartition("/")[0]).headers
    assert "ETag" not in api("PATCH", path, {"unknown": 1}).headers


@pytest.mark.parametrize("form", ["{}", "W/{}", f"{OTHER}, {{}}", f"{OTHER},,W/{{}} ,", "*", " * "])
def test_what_the_client_has_already_is_not_sent_again(api: Gateway, made: tuple[str, Answer], form: str) -> None:
    path, created = made
    tag = created.headers["ETag"]
    answer = api("GET", path, headers={"If-None-Match": form.format(tag)})
    assert (answer.status, answer.text, answer.headers["ETag"]) == (304, "", tag)


@pytest.mark.parametrize("header", [OTHER, f"W/{OTHER}", '""', '"*"', '"a,b"'])
def test_what_the_client_does_not_have_is_sent(api: Gateway, made: tuple[str, Answer], header: str) -> None:
    path, created = made
    answer = api("GET", path, headers={"If-None-Match": header})
    assert (answer.status, answer.json) == (200, created.json)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("form", "passes"),
    [
        ("{}", PASSES),
        (f"{OTHER}, {{}}", PASSES),
        ("*", PASSES),
        ("W/{}", REFUSED),
        (OTHER, REFUSED),
        ('"*"', REFUSED),
        ('""', REFUSED),
    ],
)
def test_a_change_for_another_state_is_refused(
    api: Gateway, made: tuple[str, Answer], method: str, form: str, passes: int
) -> None:
    path, created = made
    body = change_of(path) if method == "PATCH" else None
    answer = api(method, path, body, headers={"If-Match": form.format(created.headers["ETag"])})
    now = api("GET", path)
    if passes:
        assert answer.status == (200 if method == "PATCH" else 204), answer.text
        assert now.status == (200 if method == "PATCH" else 404)
    else:
        assert answer.status == 412
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert now.json == created.json


@pytest.mark.parametrize(
    ("method", "header"), [("GET", "If-None-Match"), ("PATCH", "If-Match"), ("DELETE", "If-Match")]
)
@pytest.mark.parametrize("value", ["", ",", "abc", '"a', 'a"', '"a"x"b"', "*, *", '"a b"', '"\x7f"', "w/" + OTHER])
def test_a_header_that_is_no_list_of_tags_is_named(
    api: Gateway, made: tuple[str, Answer], method: str, header: str, value: str
) -> None:
    path, created = made
    refused = api(method, path, change_of(path) if method == "PATCH" else None, headers={header: value})
    assert (refused.status, refused.fields) == (422, [header])
    assert api("GET", path).json == created.json


def test_a_long_list_of_tags_is_read_at_once(api: Gateway, made: tuple[str, Answer]) -> None:
    path, _ = made
    assert api("GET", path, headers={"If-None-Match": ", ,\t" * 3000 + "x"}).status == 422
    assert api("GET", path, headers={"If-None-Match": '"' * 9999}).status == 422
    assert api("GET", path, headers={"If-None-Match": f"{OTHER}, " * 400}).status == 200


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_what_is_not_there_is_not_found_whatever_it_should_match(api: Gateway, method: str) -> None:
    body: object = {} if method == "PATCH" else None
    for path in (f"/clients/{ulid(1)}", f"/mailings/{ulid(1)}"):
        assert api(method, path, body, headers={"If-Match": "*"}).status == 404


def beaten_once(monkeypatch: pytest.MonkeyPatch, repository: type, name: str, by: Callable[[Any], None]) -> None:
    """Have somebody else write between a change's read and its write."""
    original = getattr(repository, name)
    turns = [by]

    def write(self: object, before: Any, *after: Any) -> Any:  # noqa: ANN401 - either repository's
        if turns:
            turns.pop()(before)
        return original(self, before, *after)

    monkeypatch.setattr(repository, name, write)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_change_in_between_is_seen(
    api: Gateway, made: tuple[str, Answer], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, created = made
    rival = change_of(path)
    repository, name = (
        (DynamoClientRepository, "replace" if method == "PATCH" else "delete")
        if path.startswith("/clients")
        else (DynamoMailingRepository, "replace")
    )
    beaten_once(monkeypatch, repository, name, lambda _before: _won(api("PATCH", path, rival)))
    body: dict[str, Any] = {"timezone": "UTC"} if path.startswith("/clients") else {"on_uncertain": "hold"}

    refused = api(method, path, body if method == "PATCH" else None, headers={"If-Match": created.headers["ETag"]})

    assert refused.status == 412, refused.text
    now = api("GET", path).json
    assert now == created.json | rival | {"updated_at": now["updated_at"]}


def _won(answer: Answer) -> None:
    assert answer.status == 200, answer.text


def test_a_refused_deletion_leaves_the_client_whole(api: Gateway) -> None:
    created = api("POST", "/clients", CLIENT)
    before = [item.to_dynamodb_dict() for item in items_of(ClientItem)]
    assert api("DELETE", f"/clients/{created.json['id']}", headers={"If-Match": OTHER}).status == 412
    assert [item.to_dynamodb_dict() for item in items_of(ClientItem)] == before
