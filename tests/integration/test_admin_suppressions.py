import base64
from collections.abc import Callable

import pytest

from chalicelib.admin.roles import Role
from chalicelib.bootstrap import Application
from chalicelib.domain.suppression import Suppression
from tests.builders import NOW, client
from tests.gateway import Gateway
from tests.import_world import phones
from tests.visitor import Read, Visitor, visiting

As = Callable[[Role], Visitor]
PHONE = "79161234567"


@pytest.fixture
def by(api: Gateway, built: Application) -> As:
    return lambda role: visiting(api, built, role)


@pytest.fixture
def suppressed(built: Application) -> str:
    built.suppressions.add(Suppression(PHONE, NOW))
    return PHONE


def all_suppressed(built: Application) -> set[str]:
    return {one.phone for one in built.suppress_phones.page(None, 500).items}


def test_editors_see_phones_and_viewers_their_last_digits(by: As, suppressed: str) -> None:
    whole, masked = by(Role.EDITOR).look("suppressions"), by(Role.VIEWER).look("suppressions")
    assert suppressed in whole.text
    assert suppressed not in masked.text
    assert "*******4567" in masked.text
    assert not Read(masked.text).of("form", method="post", action="./suppressions")


def test_a_long_list_goes_on_from_page_to_page_and_tells_viewers_no_phone(by: As, built: Application) -> None:
    for phone in phones(5):
        built.suppressions.add(Suppression(phone, NOW))
    path, shown = "suppressions?limit=2", []
    while path:
        page = Read(by(Role.EDITOR).look(path).text)
        shown += [link["href"].split("/")[2] for link in page.of("a") if link["href"].endswith("/lift")]
        viewed = Read(by(Role.VIEWER).look(path).text)
        for link in viewed.of("a", rel="next"):
            cursor = link["href"].partition("cursor=")[2]
            parts = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in cursor.split(".")]
            assert not any(phone.encode() in part for part in parts for phone in phones(5))
        path = next((link["href"].removeprefix("./") for link in page.of("a", rel="next")), "")
    assert sorted(shown) == sorted(phones(5))
    assert by(Role.VIEWER).look("suppressions?cursor=x").status == 422


def test_a_phone_is_found(by: As, suppressed: str) -> None:
    assert "*******4567" in by(Role.VIEWER).look("suppressions?phone=8+916+123-45-67").text
    for nobody in ("79161234568", "x", "%3Cscript%3E"):
        page = by(Role.VIEWER).look(f"suppressions?phone={nobody}").text
        assert "has not opted out" in page
        assert suppressed not in page
        assert len(Read(page).of("script")) == 1


def test_an_empty_list_says_what_to_do(by: As) -> None:
    assert "Nobody has opted out" in by(Role.VIEWER).look("suppressions").text


def test_a_phone_opts_out(by: As, built: Application) -> None:
    built.clients.create(client())
    answer = by(Role.EDITOR).post("suppressions", {"phone": "+7 916 123-45-67"})
    assert (answer.status, answer.headers["Location"]) == (303, "./suppressions?notice=saved")
    assert all_suppressed(built) == {PHONE}
    found = built.clients.find_by_phone(PHONE)
    assert found
    assert found.suppressed


@pytest.mark.parametrize("text", ["", "916", "<script>alert(1)</script>"])
def test_what_is_no_phone_is_refused_beside_the_field(by: As, built: Application, text: str) -> None:
    answer = by(Role.EDITOR).post("suppressions", {"phone": text})
    assert answer.status == 422
    page = Read(answer.text)
    assert page.of("input", **{"aria-invalid": "true", "name": "phone", "value": text})
    assert page.of("p", id="phone-fault")
    assert len(page.of("script")) == 1
    assert all_suppressed(built) == set()


def test_an_opt_out_is_lifted_after_its_effect_was_named(by: As, built: Application, suppressed: str) -> None:
    asked = by(Role.EDITOR).look(f"suppressions/{suppressed}/lift")
    assert "gets messages again" in asked.text
    assert all_suppressed(built) == {suppressed}
    answer = by(Role.EDITOR).post(f"suppressions/{suppressed}/lift")
    assert (answer.status, answer.headers["Location"]) == (303, "../../suppressions?notice=saved")
    assert all_suppressed(built) == set()
    assert by(Role.EDITOR).look(f"suppressions/{suppressed}/lift").status == 404


def test_viewers_and_forms_without_a_token_change_nothing(by: As, built: Application, suppressed: str) -> None:
    assert by(Role.VIEWER).look(f"suppressions/{suppressed}/lift").status == 403
    for visitor, csrf in ((by(Role.VIEWER), {}), (by(Role.EDITOR), {"csrf": "x"})):
        assert visitor.post("suppressions", {"phone": "79161234568"} | csrf).status == 403
        assert visitor.post(f"suppressions/{suppressed}/lift", csrf).status == 403
    assert all_suppressed(built) == {suppressed}
