import io
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.observability import GATHERED_SECONDS, Lines, measure


def line(capsys: pytest.CaptureFixture[str]) -> Any:  # noqa: ANN401 - JSON
    (printed,) = capsys.readouterr().out.splitlines()
    return json.loads(printed)


def test_metrics_of_the_same_dimensions_are_one_line_in_the_embedded_format(capsys: pytest.CaptureFixture[str]) -> None:
    measure({"DeadLetters": 2, "DeadLetterAgeSeconds": 60.5}, queue="send")
    told = line(capsys)
    (directive,) = told["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Vestnik"
    assert [sorted(names) for names in directive["Dimensions"]] == [["queue", "service"]]
    assert directive["Metrics"] == [
        {"Name": "DeadLetters", "Unit": "Count"},
        {"Name": "DeadLetterAgeSeconds", "Unit": "Seconds"},
    ]
    assert (told["service"], told["queue"]) == ("vestnik", "send")
    assert (told["DeadLetters"], told["DeadLetterAgeSeconds"]) == ([2.0], [60.5])


def test_what_has_no_dimension_of_its_own_is_of_the_service(capsys: pytest.CaptureFixture[str]) -> None:
    measure({"DispatcherMinutes": 1})
    assert line(capsys)["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    measure({"DispatcherMinutes": 1})
    assert line(capsys)["DispatcherMinutes"] == [1.0]


class Pieces(io.StringIO):
    """A stream that remembers what was written at once."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        self.pieces.append(text)
        return len(text)


@dataclass
class Told:
    """Lines of a logger of their own, and the moment at which they are told."""

    stream: Pieces
    lines: Lines
    now: float = 100.0

    def tell(self, message: str, level: int = logging.INFO) -> None:
        self.lines.handle(logging.LogRecord("vestnik", level, "", 0, message, (), None))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    stream = Pieces()
    told = Told(stream, Lines(stream))
    monkeypatch.setattr("chalicelib.observability.time", SimpleNamespace(monotonic=lambda: told.now))
    return told


def test_a_line_is_written_at_once(told: Told) -> None:
    told.tell("one")
    told.tell("two")
    assert "".join(told.stream.pieces) == "one\ntwo\n"


def test_lines_of_a_tenth_of_a_second_are_written_in_one_piece_if_somebody_gathers_them(told: Told) -> None:
    with told.lines.gathering():
        for message in ("one", "two", "three"):
            told.tell(message)
        assert told.stream.pieces == ["one\n"]
        told.now += 2 * GATHERED_SECONDS
        told.tell("four")
        assert told.stream.pieces == ["one\n", "two\nthree\nfour\n"]


@pytest.mark.parametrize("write", [Lines.pass_on, Lines.flush])
def test_what_waits_is_written_when_asked_and_at_the_end(told: Told, write: Callable[[Lines], None]) -> None:
    with told.lines.gathering():
        told.tell("one")
        told.tell("two")
        write(told.lines)
        assert told.stream.pieces == ["one\n", "two\n"]
        told.tell("three")
    assert told.stream.pieces == ["one\n", "two\n", "three\n"]


def test_a_warning_waits_for_nothing_and_comes_behind_what_waited(told: Told) -> None:
    with told.lines.gathering():
        for message, level in (("one", logging.INFO), ("two", logging.INFO), ("three", logging.WARNING)):
            told.tell(message, level)
        assert "".join(told.stream.pieces) == "one\ntwo\nthree\n"


def test_whoever_gathers_longer_goes_on_when_another_has_ended(told: Told) -> None:
    told.tell("before")
    with told.lines.gathering():
        with told.lines.gathering():
            told.tell("one")
            told.tell("two")
        assert "".join(told.stream.pieces) == "before\none\ntwo\n"
        told.tell("three")
        assert "".join(told.stream.pieces) == "before\none\ntwo\n"
    told.tell("four")
    assert "".join(told.stream.pieces) == "before\none\ntwo\nthree\nfour\n"


def test_lines_are_whole_whatever_thread_tells_them(told: Told) -> None:
    with told.lines.gathering(), ThreadPoolExecutor(8) as threads:
        list(threads.map(told.tell, [f"line {number}" for number in range(500)]))
    assert sorted("".join(told.stream.pieces).splitlines()) == sorted(f"line {number}" for number in range(500))


def test_a_line_that_cannot_be_told_fails_no_work(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    with told.lines.gathering():
        told.tell("%d")
        told.lines.handle(logging.LogRecord("vestnik", logging.INFO, "", 0, "%d", ("no number",), None))
        told.tell("two")
    assert "".join(told.stream.pieces) == "%d\ntwo\n"
    assert "Logging error" in capsys.readouterr().err
