"""`make repair` and the nightly check on the packaged function, held to what its own role allows."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import repair
from tests.e2e.steps import assert_counters_equal_recount, create_mailing, finished, load_clients, statistics_of
from tests.running_stack import RunningStack

CLIENTS = 30
FALSIFIED = {"sent": -7, "failed": 5, "failed.crash": 5, "attempts": 11}


@pytest.fixture
def stack_file(stack: RunningStack, tmp_path: Path) -> Path:
    file = tmp_path / "stack.json"
    file.write_text(json.dumps(asdict(stack.info)))
    return file


@pytest.fixture(scope="module")
def mailing_id(stack: RunningStack) -> str:
    """A mailing that was sent whole."""
    stack.control()
    load_clients(stack, CLIENTS, "drift")
    id_ = create_mailing(stack, "drift")
    assert finished(stack, id_)["messages"]["sent"] == CLIENTS
    return id_


def test_counters_that_were_falsified_are_set_right(stack: RunningStack, stack_file: Path, mailing_id: str) -> None:
    before = statistics_of(stack, mailing_id)
    falsify(stack, mailing_id)
    assert statistics_of(stack, mailing_id)["messages"]["sent"] == CLIENTS - 7

    dry = run(stack_file, mailing_id, "--dry-run")
    assert (dry.returncode, differences(dry.stdout)) == (1, FALSIFIED)
    assert statistics_of(stack, mailing_id)["messages"]["sent"] == CLIENTS - 7

    repaired = run(stack_file, mailing_id)
    assert (repaired.returncode, repaired.stderr) == (0, "")
    assert differences(repaired.stdout) == FALSIFIED
    assert repaired.stdout.endswith("repaired: the counters say what the rows do\n")
    assert statistics_of(stack, mailing_id) == before
    assert_counters_equal_recount(stack, mailing_id)

    again = run(stack_file, mailing_id)
    assert (again.returncode, differences(again.stdout)) == (0, {})
    assert again.stdout.endswith("no drift: the counters say what the rows do\n")


def test_mailing_that_is_not_there_is_said_not_to_be(stack_file: Path) -> None:
    unknown = run(stack_file, "01M83JE3427E3MCK0QZRJNQ9ET")

    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == "make repair: there is no such mailing\n"


@pytest.mark.of_lambda("the host's clock has the schedule from the template")
def test_check_has_its_nightly_schedule(stack: RunningStack) -> None:
    name, events = f"{stack.info.stack_name}-drift-check", stack.client("events")
    arn = stack.client("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]

    (rule,) = events.list_rule_names_by_target(TargetArn=arn)["RuleNames"]

    scheduled = events.describe_rule(Name=rule)
    assert (scheduled["ScheduleExpression"], scheduled["State"]) == ("cron(0 3 * * ? *)", "ENABLED")


def test_nightly_check_finds_drift(stack: RunningStack, stack_file: Path, mailing_id: str) -> None:
    event = json.dumps({"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
    before = json.loads(stack.invoke("drift-check", event))
    assert (before["drift"], before["unchecked"]) == (0, 0)
    assert before["right"] > 0
    falsify(stack, mailing_id)

    assert json.loads(stack.invoke("drift-check", event))["drift"] == 1

    assert run(stack_file, mailing_id).returncode == 0
    assert json.loads(stack.invoke("drift-check", event))["drift"] == 0


def falsify(stack: RunningStack, mailing_id: str) -> None:
    """Add to counters as only a fault of ours would."""
    names = {f"#{place}": name for place, name in enumerate(FALSIFIED)}
    values = {f":{place}": {"N": str(by)} for place, by in enumerate(FALSIFIED.values())}
    stack.client("dynamodb").update_item(
        TableName=stack.table_name("stats"),
        Key={"mailing_id": {"S": mailing_id}, "counter": {"S": "total#07"}},
        UpdateExpression="ADD " + ", ".join(f"#{place} :{place}" for place in range(len(FALSIFIED))),
        ExpressionAttributeNames=names,
        ExpressionAttributeValues=values,
    )


def run(stack_file: Path, mailing_id: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, repair.__file__, "--mailing", mailing_id, "--stack", str(stack_file)]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False)


def differences(table: str) -> dict[str, int]:
    """Read the differences out of the table that was shown; those that are not zero."""
    lines = [line.split() for line in table.splitlines()]
    return {
        line[0]: int(line[3]) for line in lines if len(line) == 4 and line[3].lstrip("-").isdigit() and int(line[3])
    }
