"""Sentences of rules and use cases, known again and said in Russian."""

import re

import pytest

from chalicelib.admin.rendering import sentences
from tests.unit.test_explain import AHEAD, PAST

TOLD = sorted({str(case[4]) for case in (*PAST, *AHEAD)})
VALUES = re.compile(r"UTC|[A-Z][a-z]+/[A-Z][a-z]+|http_\d+|timeout")


@pytest.mark.parametrize("text", TOLD)
def test_every_explanation_of_a_message_is_wholly_russian(text: str) -> None:
    said = sentences("ru").translated(text)
    assert said
    assert not re.search("[A-Za-z]", VALUES.sub("", said))
    assert set(VALUES.findall(said)) == set(VALUES.findall(text))


@pytest.mark.parametrize(
    ("english", "russian"),
    [
        ("there is no such mailing", "Такой рассылки нет."),
        ("this needs the role sender", "Для этого нужна роль «отправитель»."),
        ("the mailing is paused and cannot be paused", "Состояние рассылки — «на паузе»: приостановить её нельзя."),
        (
            "the mailing is paused, and its end_at has passed: with a later end_at it can be resumed",
            "Состояние рассылки — «на паузе», её окончание прошло: возобновить её можно, если задать более позднее.",
        ),
        (
            "filter and start_at cannot be changed once the mailing has started",
            "Аудиторию и начало нельзя изменить: рассылка уже началась.",
        ),
        ("91x: String should match pattern '^[0-9]{3}$'", "91x: нужны три цифры"),
        ("{0}: String should have at most 64 characters", "{0}: не больше 64 знаков"),
        (
            "'{}}' is neither an IANA time zone nor an offset from -12:00 to +14:00",
            "'{}}' — не часовой пояс IANA и не смещение от -12:00 до +14:00",
        ),
        ("line 3: a quote is opened that is never closed", "Строка 3: кавычка открыта и не закрыта"),
        (
            "the header lacks phone and timezone; there may be phone, timezone",
            "В заголовке не хватает: phone и timezone; возможны phone, timezone",
        ),
    ],
)
def test_values_stand_in_the_translation_where_it_wants_them(english: str, russian: str) -> None:
    assert sentences("ru").translated(english) == russian


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nobody knows this",
        "Its mailing has not started. Nobody knows this.",
        "typed: nobody knows this",
        "y" * 2001 + ": must not be blank",
        ". . . . ",
    ],
)
def test_what_is_not_known_is_left_to_be_shown_as_it_is(text: str) -> None:
    assert sentences("ru").translated(text) is None
