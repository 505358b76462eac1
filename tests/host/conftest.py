from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.host.function_process import FunctionProcess
from infra.host.functions import Function
from tests.packaging.conftest import bundle, template
from tests.settings import ENVIRONMENT

__all__ = ["bundle", "template"]

ROOT = Path(__file__).resolve().parents[2]

STAND_IN = """
import os, signal, sys, time

print("loaded", flush=True)

def sender(event, context):
    if "records" in event or "Records" in event:
        return records(event["Records"])
    match event["do"]:
        case "return":
            return event["value"]
        case "say":
            print(event["value"], flush=True)
        case "raise":
            raise ValueError("wrong")
        case "sleep":
            time.sleep(event["seconds"])
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "signal":
            os.kill(os.getpid(), signal.SIGTERM)
        case "tell":
            left = context.get_remaining_time_in_millis()
            return {
                "pid": os.getpid(), "left": left, "name": context.function_name, "arn": context.invoked_function_arn,
                "group": context.log_group_name, "memory": context.memory_limit_in_mb,
                "variable": os.environ["AWS_LAMBDA_FUNCTION_NAME"],
            }

def records(records):
    bodies = [record["body"] for record in records]
    if "raise" in bodies:
        raise ValueError("wrong")
    if "die" in bodies:
        os.kill(os.getpid(), signal.SIGKILL)
    for body in bodies:
        print("body " + body, flush=True)
    if "nonsense" in bodies:
        return {"batchItemFailures": [{"itemIdentifier": "nobody's"}]}
    failed = [record["messageId"] for record in records if record["body"] == "fail"]
    return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in failed]}
"""


@pytest.fixture
def lines() -> list[str]:
    """What functions have said."""
    return []


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have processes find a stand-in for app.py, and the settings that they need."""
    (tmp_path / "app.py").write_text(STAND_IN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TABLE_PREFIX", "vestnik")
    monkeypatch.setenv("PLANNER_ARN", "arn:aws:lambda:eu-west-1:123456789012:function:vestnik-planner")


def function(timeout_seconds: float = 20) -> Function:
    return Function("sender", "sender", timeout_seconds, 1024, [], [])  # type: ignore[arg-type]


@pytest.fixture
def process(lines: list[str]) -> Iterator[FunctionProcess]:
    made = FunctionProcess(function(), lambda name, line: lines.append(f"{name} {line.decode()}"))
    yield made
    made.end()
