"""`make deploy` and `make destroy`, by their command lines, on the emulator of a stack that is there already."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from probe import free_port
from tests.e2e.conftest import StartStack
from tests.running_stack import RunningStack

pytestmark = pytest.mark.of_lambda("it deploys functions")

LOCAL = Path(__file__).parents[2] / "infra" / "local"
DEADLINE_SECONDS = 120
STACK = "vestnik-dev"


@dataclass
class Shell:
    """A shell that speaks to an emulator: its programs, its variables, its addresses."""

    stack: RunningStack
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def info_file(self) -> Path:
        return self.folder / "dev.json"

    def environ(self) -> dict[str, str]:
        info = self.stack.info
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        memory = json.loads((self.stack.embedded.folder / "deployment.json").read_text())
        return {
            **kept,
            "AWS_ENDPOINT_URL": info.aws_endpoint_url,
            "PROVIDER_URL": info.provider_url,
            "PROVIDER_TOKEN": memory["provider_token"],
            "ISSUER_URL": info.issuer_url,
            "TOKEN": str(info.token),
            **self.variables,
        }

    def run(self, program: str, *arguments: str, answer: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program of infra/local; with an `answer` on a terminal, else without one."""
        command = [sys.executable, str(LOCAL / program), *arguments]
        if answer is None:
            return self._run(command, subprocess.DEVNULL)
        terminal, line = pty.openpty()
        try:
            os.write(terminal, f"{answer}\n".encode())
            return self._run(command, line)
        finally:
            os.close(terminal)
            os.close(line)

    def _run(self, command: Sequence[str], stdin: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.environ(),
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    def deploy(self, *arguments: str) -> str:
        """Deploy the stage dev, unasked; return what was said."""
        done = self.run("deploy.py", "dev", "--yes", "--info", str(self.info_file), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def info(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.info_file.read_text())
        return read

    def status(self) -> str:
        stacks = self.stack.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return str(stacks[0]["StackStatus"])

    def sender(self) -> dict[str, str]:
        functions = self.stack.client("lambda")
        found: dict[str, str] = functions.get_function_configuration(FunctionName=f"{STACK}-sender")["Environment"][
            "Variables"
        ]
        return found


@pytest.fixture(scope="module")
def shell(start_stack: StartStack, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(start_stack(), tmp_path_factory.mktemp("deploy"))


@pytest.fixture(scope="module")
def first(shell: Shell) -> str:
    """The stage dev is deployed: what was said."""
    return shell.deploy()


@pytest.fixture
def deployed(shell: Shell, first: str) -> Iterator[Shell]:
    assert first
    assert shell.status().endswith("_COMPLETE")
    yield shell
    shell.variables.clear()


def changes_said(output: str) -> set[tuple[str, str]]:
    """Read the table of changes: what is done with which resource."""
    table = output.partition("because of\n")[2].partition("\n\n")[0]
    return {(line.split()[0], line.split()[1]) for line in table.splitlines()}


def test_first_deployment_shows_what_it_makes_and_says_where_it_answers(shell: Shell, first: str) -> None:
    changes = changes_said(first)
    info = shell.info()

    assert {("add", "ClientsTable"), ("add", "Sender"), ("add", "ImportsBucket")} <= changes
    assert {action for action, _ in changes} == {"add"}
    parameters = [line.split() for line in first.splitlines() if "->" in line]
    assert ["DeletionProtection", "true", "->", "false"] in parameters
    assert ["SavedQueries", "true", "->", "false"] in parameters, "what emulators lack is left out unasked"
    assert f"API       {info['api_url']}\n" in first
    assert shell.environ()["PROVIDER_TOKEN"] not in first
    assert (info["stack_name"], info["provider_url"]) == (STACK, shell.stack.info.provider_url)
    assert list(info) == list(json.loads((shell.stack.embedded.folder / "stack.json").read_text()))
    assert shell.info_file.stat().st_mode & 0o777 == 0o600


def test_main_job_runs_on_a_deployed_stage(deployed: Shell) -> None:
    done = deployed.run("main_job.py", "--stack", str(deployed.info_file), "--clients", "30")

    assert done.returncode == 0, done.stdout + done.stderr
    assert ["all", "0", "0", "30", "0", "0", "0", "30"] in [line.split() for line in done.stdout.splitlines()]


def test_second_deployment_changes_nothing(deployed: Shell) -> None:
    said = deployed.deploy()

    assert "no changes: the stack is as it should be" in said
    assert deployed.info()["api_url"] in said


def test_changed_parameter_is_all_that_is_shown_and_stays_until_it_is_given_again(deployed: Shell) -> None:
    said = deployed.deploy("--parameter", "SenderConcurrency=7")

    assert changes_said(said) == {("modify", "SenderSenderSqsEventSource")}
    assert [line.split() for line in said.splitlines() if "->" in line] == [
        ["ProviderToken", "(hidden)", "->", "(hidden)"],  # given each time: whether it differs is not to be known
        ["SenderConcurrency", "5", "->", "7"],
    ]
    assert "no changes" in deployed.deploy()


def test_setting_of_the_environment_reaches_the_functions(deployed: Shell) -> None:
    deployed.variables["MAX_ATTEMPTS"] = "7"

    said = deployed.deploy()

    assert "Environment (MaxAttempts)" in said
    assert deployed.sender()["MAX_ATTEMPTS"] == "7"


def test_no_on_the_terminal_changes_nothing_and_leaves_no_change_set(deployed: Shell) -> None:
    before = deployed.sender()
    deployed.variables["BREAKER_FAILURES"] = "11"

    done = deployed.run("deploy.py", "dev", answer="n")

    assert (done.returncode, done.stderr) == (1, "")
    assert "Environment (BreakerFailures)" in done.stdout
    assert done.stdout.endswith("Deploy? [y/N] nothing was changed\n")
    assert deployed.sender() == before
    waiting = deployed.stack.client("cloudformation").list_change_sets(StackName=STACK)["Summaries"]
    assert [each["ExecutionStatus"] for each in waiting if each["ExecutionStatus"] == "AVAILABLE"] == []


def test_interrupted_question_changes_nothing_and_leaves_no_change_set(deployed: Shell) -> None:
    before = deployed.sender()
    deployed.variables["BREAKER_FAILURES"] = "14"

    done = deployed.run("deploy.py", "dev", answer="\x03")  # Ctrl-C

    assert done.returncode in {1, 130}
    assert deployed.sender() == before
    waiting = deployed.stack.client("cloudformation").list_change_sets(StackName=STACK)["Summaries"]
    assert "AVAILABLE" not in {each["ExecutionStatus"] for each in waiting}


def test_yes_on_the_terminal_deploys(deployed: Shell) -> None:
    deployed.variables["BREAKER_FAILURES"] = "12"

    done = deployed.run("deploy.py", "dev", answer="y")

    assert done.returncode == 0, done.stderr
    assert deployed.sender()["BREAKER_FAILURES"] == "12"


def test_nothing_is_deployed_where_nobody_can_be_asked(deployed: Shell) -> None:
    deployed.variables["BREAKER_FAILURES"] = "13"

    done = deployed.run("deploy.py", "dev")

    assert done.returncode == 1
    assert done.stderr == "make deploy: nobody is there to ask: there is no terminal, and no YES=1\n"
    assert deployed.sender().get("BREAKER_FAILURES") != "13"


def test_refused_new_stack_leaves_no_trace(deployed: Shell) -> None:
    deployed.variables["STACK_NAME"] = "vestnik-never"

    done = deployed.run("deploy.py", "dev", answer="n")

    assert done.returncode == 1, done.stderr
    stacks = deployed.stack.client("cloudformation").describe_stacks()["Stacks"]
    assert "vestnik-never" not in {stack["StackName"] for stack in stacks}


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["prod", "--parameter", "RequireTls=false"], {}, "stage prod: RequireTls must be true"),
        (["prod"], {"PROVIDER_URL": ""}, "settings do not parse: PROVIDER_URL: Field required"),
        (["nowhere"], {}, "there is no infra/stages/nowhere.json; stages: dev, local, prod"),
        (["dev", "--parameter", "ProviderToken=x"], {}, "ProviderToken is secret; give it by the environment"),
        (["local"], {"AWS_ENDPOINT_URL": "", "AWS_REGION": "us-east-1"}, "stage local is for emulators"),
        (["dev"], {"AWS_ENDPOINT_URL": "", "AWS_REGION": ""}, "no region is named"),
        (["dev"], {"AWS_ENDPOINT_URL": "http://127.0.0.1:{port}"}, "Could not connect to the endpoint URL"),
    ],
)
def test_what_cannot_be_deployed_is_refused_in_one_line(
    deployed: Shell, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    port = str(free_port())
    deployed.variables.update({name: value.replace("{port}", port) for name, value in variables.items()})
    deployed.variables.update({"AWS_CONFIG_FILE": "/nonexistent", "AWS_DEFAULT_REGION": ""})

    done = deployed.run("deploy.py", *arguments, "--yes")

    assert done.returncode == 1
    assert done.stderr.startswith("make deploy: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_destroyed_stage_leaves_its_tables_and_is_taken_over_again(deployed: Shell) -> None:
    client = {"id": {"S": "kept"}}
    dynamodb = deployed.stack.client("dynamodb")
    dynamodb.put_item(TableName=f"{STACK}-clients", Item=client)

    unsure = deployed.run("destroy.py", "dev", answer="prod")
    gone = deployed.run("destroy.py", "dev", answer="dev")
    again = deployed.run("deploy.py", "dev", "--yes")
    adopted = deployed.deploy("--adopt")

    assert (unsure.returncode, unsure.stdout.splitlines()[-1]) == (
        1,
        "Type the stage's name to delete it (dev): nothing was deleted",
    )
    assert gone.returncode == 0, gone.stderr
    assert f"table   {STACK}-clients " in gone.stdout
    assert "gone; what stays:" in gone.stdout
    assert gone.stdout.splitlines()[-2] == "delete it for good: make destroy STAGE=dev WITH_DATA=1"
    assert again.returncode == 1
    assert f"there is no stack {STACK}, but tables and buckets of its name are: " in again.stderr
    assert "ADOPT=1" in again.stderr
    assert ("import", "ClientsTable") in changes_said(adopted)
    assert dynamodb.get_item(TableName=f"{STACK}-clients", Key=client)["Item"] == client
    assert "no changes" in deployed.deploy()


def test_destroyed_with_its_data_nothing_of_a_stage_stays(deployed: Shell) -> None:
    deployed.variables["STACK_NAME"] = other = "vestnik-other"
    s3, dynamodb = deployed.stack.client("s3"), deployed.stack.client("dynamodb")
    deployed.deploy("--parameter", "DeletionProtection=true")
    (bucket,) = (each["Name"] for each in s3.list_buckets()["Buckets"] if each["Name"].startswith(f"{other}-imports-"))
    s3.put_object(Bucket=bucket, Key="file.csv", Body=b"phone")

    refused = deployed.run("destroy.py", "dev", "--with-data")
    done = deployed.run("destroy.py", "dev", "--with-data", "--yes")
    again = deployed.run("destroy.py", "dev", "--with-data", "--yes")

    assert (refused.returncode, "nobody is there to ask" in refused.stderr) == (1, True)
    assert done.returncode == 0, done.stderr
    assert "about 0 items, protected" in done.stdout
    assert done.stdout.endswith("gone, with all it held\n")
    assert not [name for name in dynamodb.list_tables()["TableNames"] if name.startswith(other)]
    assert not [each for each in s3.list_buckets()["Buckets"] if each["Name"].startswith(other)]
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "there is no such stack")


def test_production_is_destroyed_by_its_name_only(deployed: Shell) -> None:
    deployed.variables["STACK_NAME"] = STACK

    unnamed = deployed.run("destroy.py", "prod", "--yes")
    misnamed = deployed.run("destroy.py", "prod", "--yes", "--confirm", "dev")

    assert unnamed.stderr == "make destroy: YES=1 is not enough for stage prod; confirm its name: CONFIRM=prod\n"
    assert misnamed.stderr == "make destroy: 'dev' is confirmed, and the stage is 'prod'\n"
    assert deployed.status().endswith("_COMPLETE")
