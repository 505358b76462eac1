import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api.cursor import seal, unseal
from chalicelib.errors import ValidationError

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(text, text, text)
def test_a_cursor_leads_back_to_its_position(position: str, scope: str, secret: str) -> None:
    assert unseal(seal(position, scope, secret), scope, secret) == position


@given(text, text, text)
def test_a_cursor_of_another_list_or_secret_is_refused(position: str, scope: str, other: str) -> None:
    cursor = seal(position, scope, "secret")
    for wrong in ((f"{scope}{other}x", "secret"), (scope, f"secret{other}x")):
        with pytest.raises(ValidationError, match="cursor"):
            unseal(cursor, *wrong)


@given(text, st.data())
def test_a_cursor_that_was_tampered_with_is_refused(position: str, data: st.DataObject) -> None:
    cursor = seal(position, "list", "secret")
    index = data.draw(st.integers(0, len(cursor) - 1))
    changed = data.draw(
        st.sampled_from([cursor[:index], cursor[index + 1 :], cursor + "A", cursor + "="])
        | st.characters(codec="utf-8").map(lambda char: cursor[:index] + char + cursor[index + 1 :])
    )
    if changed != cursor:
        with pytest.raises(ValidationError, match="cursor"):
            unseal(changed, "list", "secret")


@given(st.text())
def test_whatever_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ValidationError, match="cursor"):
        unseal(cursor, "list", "secret")
