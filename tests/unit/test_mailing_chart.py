import base64
import hashlib
import re
from datetime import datetime, timedelta
from html import unescape

import pytest

from chalicelib.admin.mailing_chart import MAX_BARS, MIN_BARS, sent_per_minute
from tests.builders import NOW

MINUTE = timedelta(minutes=1)


def bars(svg: str) -> int:
    return len(re.findall(r'<rect[^>]*class="rect reactive', svg))


def test_minutes_without_a_message_are_drawn_too() -> None:
    assert bars(sent_per_minute([(NOW, 3), (NOW + 40 * MINUTE, 1)], "UTC", "light").svg) == 41


def test_a_short_time_is_drawn_with_minutes_to_come() -> None:
    assert bars(sent_per_minute([(NOW, 3)], "UTC", "light").svg) == MIN_BARS


def test_of_a_long_time_the_latest_is_drawn() -> None:
    assert bars(sent_per_minute([(NOW, 3), (NOW + 9000 * MINUTE, 1)], "UTC", "light").svg) == MAX_BARS


def test_labels_are_in_the_readers_zone() -> None:
    assert ">09:00<" in sent_per_minute([(NOW, 3)], "Europe/Moscow", "light").svg


@pytest.mark.parametrize("sent", [[], [(NOW, 0)], [(NOW, 5_000_000)]])
def test_a_picture_runs_nothing_and_allows_its_own_styles_alone(sent: list[tuple[datetime, int]]) -> None:
    drawn = sent_per_minute(sent, "UTC", "dark")
    assert "<script" not in drawn.svg
    (style,) = re.findall(r"<style[^>]*>(.*?)</style>", drawn.svg, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(unescape(style).encode()).digest()).decode()
    assert drawn.style_hash == f"sha256-{digest}"


def test_the_same_is_drawn_the_same() -> None:
    once, again = (sent_per_minute([(NOW, 3)], "UTC", "light") for _ in range(2))
    assert once == again
    assert once != sent_per_minute([(NOW, 3)], "UTC", "dark")
