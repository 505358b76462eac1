import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.phone import PHONE_PATTERN, is_phone, mask, operator_code_of, typed_phone

NOT_PHONES = [
    "",
    "7",
    "7916123456",  # a digit short
    "791612345678",  # a digit long
    "89161234567",
    "+79161234567",
    "7 916 123 45 67",
    " 79161234567",
    "79161234567 ",
    "79161234567\n",
    "\n79161234567",
    "79161234567\n79161234567",
    "7916123456a",
    "7916123456\u0667",  # a digit to str.isdigit(), not to us
    "\uff179161234567",
    "7916123456\u00b2",
]


@pytest.mark.parametrize("text", ["79161234567", "70000000000", "79999999999"])
def test_seven_and_ten_digits_are_a_phone(text: str) -> None:
    assert is_phone(text)


@pytest.mark.parametrize("text", NOT_PHONES)
def test_anything_else_is_no_phone(text: str) -> None:
    assert not is_phone(text)


def test_the_pattern_is_anchored_for_schemas_that_search() -> None:
    assert re.search(PHONE_PATTERN, "79161234567")
    assert not re.search(PHONE_PATTERN, "1791612345678")


def test_the_operator_code_is_the_three_digits_after_the_seven() -> None:
    assert operator_code_of("79161234567") == "916"


def test_a_masked_phone_shows_its_last_four_digits() -> None:
    assert mask("79161234567") == "*******4567"


@pytest.mark.parametrize("text", ["", "1", "4567"])
def test_masking_copes_with_what_is_no_phone(text: str) -> None:
    assert mask(text) == text


@settings(deadline=None)
@given(st.from_regex(r"7[0-9]{10}", fullmatch=True))
def test_each_part_of_a_phone_stays_where_it_is(phone: str) -> None:
    assert is_phone(phone)
    assert phone.startswith("7" + operator_code_of(phone))
    assert len(operator_code_of(phone)) == 3
    assert mask(phone) == "*******" + phone[7:]


@pytest.mark.parametrize(
    "text", ["79161234567", "+7 916 123-45-67", "8 (916) 123-45-67", "89161234567", "7\N{NO-BREAK SPACE}9161234567"]
)
def test_a_phone_is_read_as_people_write_it(text: str) -> None:
    assert typed_phone(text) == "79161234567"


@pytest.mark.parametrize("text", ["", "8916", "8916123456x8", "four", "891612345678"])
def test_what_is_no_phone_stays_none(text: str) -> None:
    assert not is_phone(typed_phone(text))
