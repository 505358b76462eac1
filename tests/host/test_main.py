import logging
import os
from typing import Any

import boto3
import pytest

from chalicelib.config import Settings
from infra.host import __main__ as program
from infra.host.clock import Ticking
from infra.host.environment import NoEnvironmentError, environment_of
from tests.settings import ENVIRONMENT


class FakeLambda:
    """A Lambda client that knows one function."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables

    def get_function_configuration(self, **call: str) -> dict[str, Any]:
        assert call == {"FunctionName": "vestnik-prod-api"}
        return {"Environment": {"Variables": self.variables}}


@pytest.fixture
def supervised(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would run, and for how long it would be waited for."""
    calls: list[dict[str, Any]] = []

    def supervise(loops: list[Any], **options: Any) -> int:  # noqa: ANN401 - as supervise has them
        calls.append({"loops": loops, **options})
        return 0

    monkeypatch.setattr(program, "supervise", supervise)
    for name in ("handlers", "level", "propagate"):  # which it sets
        monkeypatch.setattr(logging.getLogger("infra.host"), name, getattr(logging.getLogger("infra.host"), name))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    return calls


def test_environment_is_what_functions_are_told_with_a_clock_that_starts_mailings() -> None:
    deployed = FakeLambda(**ENVIRONMENT, MAILINGS_STARTED_BY="scheduler", LOG_LEVEL="", TRACING="Active")

    told = environment_of(deployed, "vestnik-prod")  # type: ignore[arg-type]

    assert told == dict(sorted((ENVIRONMENT | {"MAILINGS_STARTED_BY": "clock"}).items()))
    assert Settings.from_env(told).mailings_started_by == "clock"


def test_value_of_several_lines_is_refused_by_its_name() -> None:
    with pytest.raises(NoEnvironmentError, match="CURRENCY"):
        environment_of(FakeLambda(CURRENCY="a\nb"), "vestnik-prod")  # type: ignore[arg-type]


def test_environment_is_printed_as_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(boto3, "client", lambda *_, **__: FakeLambda(B="1=2", A="x"))

    assert program.main(["environment", "--stack-name", "vestnik-prod"]) == 0
    assert capsys.readouterr().out == "A=x\nB=1=2\nMAILINGS_STARTED_BY=clock\n"


@pytest.mark.parametrize(
    ("arguments", "loops", "stop_seconds"),
    [
        (["worker"], 4, 63),
        (["worker", "sender"], 2, 33),
        (["worker", "importer", "plan-segment", "--processes", "1"], 2, 63),
        (["clock"], 4, 65),
        (["clock", "dispatcher", "planner"], 2, 63),
        (["clock", "daily-report"], 1, 63),
    ],
)
def test_what_is_named_runs_and_may_finish(
    supervised: list[dict[str, Any]], arguments: list[str], loops: int, stop_seconds: float
) -> None:
    assert program.main([*arguments, "--alive-file", "alive"]) == 0

    (call,) = supervised
    assert (len(call["loops"]), call["stop_seconds"], str(call["alive_file"])) == (loops, stop_seconds, "alive")


def test_lines_are_shipped_where_that_is_asked_for(
    supervised: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    closed: list[bool] = []

    class Shipper:
        def __call__(self, function: str, line: bytes) -> None:
            raise NotImplementedError

        def close(self) -> None:
            closed.append(True)

    monkeypatch.setenv("SHIP_LOGS", "true")
    monkeypatch.setattr(program, "_shipper", Shipper)

    assert program.main(["clock", "dispatcher"]) == 0
    (ticking,) = supervised[0]["loops"]
    assert isinstance(ticking, Ticking)
    assert isinstance(ticking.calls._processes[0]._take_line, Shipper)
    assert closed == [True]
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["worker", "planner"], "'planner' is none of plan-segment, sender, importer"),
        (["clock", "sender"], "'sender' is none of planner, dispatcher, drift-check, daily-report"),
        (["worker", "--processes", "0"], "'0' is no number of processes"),
        (["worker", "--processes", "many"], "invalid _number value: 'many'"),
        ([], "required: command"),
    ],
)
def test_what_there_is_not_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(arguments)

    assert said in capsys.readouterr().err


def test_a_call_prints_what_the_function_said_and_last_what_it_returned(
    supervised: list[dict[str, Any]], capfd: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["call", "sender", '{"do": "return", "value": {"a": 1}}']) == 0

    assert capfd.readouterr().out == 'loaded\n{"a": 1}\n'
    assert supervised == []


def test_a_call_that_fails_says_why(supervised: list[dict[str, Any]], capfd: pytest.CaptureFixture[str]) -> None:
    assert program.main(["call", "sender", '{"do": "exit"}']) == 1

    assert capfd.readouterr().err == "call: its process ended with 3\n"
    assert supervised == []


def test_settings_that_do_not_parse_are_named(
    supervised: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROVIDER_URL", "ftp://x")

    assert program.main(["worker"]) == 1
    assert "worker: settings do not parse: PROVIDER_URL" in capsys.readouterr().err
    assert supervised == []


def test_both_names_of_the_region_are_set(supervised: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")

    assert program.main(["worker", "sender"]) == 0
    assert (os.environ["AWS_REGION"], len(supervised)) == ("us-west-2", 1)
