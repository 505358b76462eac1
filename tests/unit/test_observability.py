import json
from typing import Any

import pytest

from chalicelib.observability import measure


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
