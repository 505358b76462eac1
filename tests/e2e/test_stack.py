"""`make up` and `make down`, as a user meets them: by their command line, in a folder of the test's own."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import requests

from embedded import StackInfo
from probe import free_port, is_port_free
from processes import ProcessRecord
from sessions import LocalSession
from tests.running_stack import RunningStack, poll

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "infra" / "local" / "stack.py"
DEADLINE_SECONDS = 120
INTERRUPTED = 130
SHELL = {
    "STACK_NAME": "mine",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_SECRET_ACCESS_KEY": "real",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
}

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc, which Linux has")


class Checkout:
    """A folder for a stack, and the two commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    def start(self, command: str, **variables: str) -> subprocess.Popen[str]:
        inherited = {name: value for name, value in os.environ.items() if name != "PORT"}
        return subprocess.Popen(
            [sys.executable, str(PROGRAM), command, "--folder", str(self.folder)],
            env={**inherited, "PORT": str(self.port), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        with self.start(command, **variables) as program:
            stdout, stderr = program.communicate(timeout=DEADLINE_SECONDS)
        return subprocess.CompletedProcess(program.args, program.returncode, stdout, stderr)

    def up(self, **variables: str) -> StackInfo:
        finished = self.run("up", **variables)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return self.info()

    def info(self) -> StackInfo:
        return StackInfo(**json.loads((self.folder / "stack.json").read_text()))

    def recorded(self) -> dict[str, int]:
        return {process.name: process.pid for process in ProcessRecord(self.folder / "processes.json")}

    def living(self) -> list[str]:
        """Return the command lines of all processes that were started with this folder in their environment."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                belongs = os.fsencode(self.folder) in (entry / "environ").read_bytes()
                belongs |= (entry / "cwd").resolve().is_relative_to(self.folder)
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it ended while we looked, or is not ours to look at
            if belongs and command:  # a zombie has no command line
                found.append(command)
        return found


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = Checkout(tmp_path / "local")
    yield made
    made.run("down")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A stack that tests share which leave it as it is, brought up in a shell that speaks to AWS."""
    made = Checkout(tmp_path_factory.mktemp("running") / "local")
    try:
        made.up(**SHELL)
        yield made
    finally:
        made.run("down")


def test_stack_comes_up_once_however_often_it_is_told(running: Checkout) -> None:
    first, processes = running.info(), running.recorded()

    second = running.run("up", **SHELL)

    assert second.returncode == 0
    assert "up already" in second.stdout
    assert first.api_url in second.stdout
    assert running.info() == first
    assert running.recorded() == processes
    assert set(processes) == {"emulator", "provider simulator", "development issuer"}


def test_stack_json_says_where_everything_is_to_its_owner_only(running: Checkout) -> None:
    info = running.info()

    content = json.loads((running.folder / "stack.json").read_text())
    assert list(content) == [field.name for field in fields(StackInfo)]
    assert (running.folder / "stack.json").stat().st_mode & 0o777 == 0o600
    assert info.aws_endpoint_url == f"http://127.0.0.1:{running.port}"
    assert (info.region, info.stack_name) == ("us-east-1", "mine")
    assert not info.api_url.endswith("/")
    assert requests.get(f"{info.api_url}/health", timeout=30).status_code == 200
    assert requests.get(f"{info.provider_url}/_received", timeout=30).status_code == 200
    bearer = {"Authorization": f"Bearer {info.token}"}
    assert requests.get(f"{info.api_url}/dead-letters", headers=bearer, timeout=30).status_code == 200


def test_another_port_asks_for_make_down_first(running: Checkout) -> None:
    finished = running.run("up", PORT=str(free_port()))

    assert finished.returncode == 1
    assert f"the stack is up on port {running.port}" in finished.stderr
    assert "make down" in finished.stderr


def test_aws_settings_of_the_shell_do_not_reach_the_stack(running: Checkout) -> None:
    assert running.info().aws_endpoint_url == f"http://127.0.0.1:{running.port}"
    if Path("/proc").exists():
        environ = Path(f"/proc/{running.recorded()['emulator']}/environ").read_bytes()
        assert b"AKIAREAL" not in environ
        assert b"AWS_PROFILE" not in environ


@needs_proc
def test_down_leaves_no_process_and_repeats_without_harm(checkout: Checkout) -> None:
    checkout.up()
    assert len(checkout.living()) >= 4  # emulator, simulator, issuer and the API's worker

    first, second = checkout.run("down"), checkout.run("down")

    assert checkout.living() == []
    assert is_port_free(checkout.port)
    assert (first.returncode, first.stdout) == (0, "stopped: emulator, provider simulator, development issuer\n")
    assert (second.returncode, second.stdout) == (0, "nothing to stop\n")
    assert not (checkout.folder / "stack.json").exists()


def test_taken_port_is_named_and_nothing_is_left(checkout: Checkout) -> None:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", checkout.port))
        somebody.listen()
        finished = checkout.run("up")

    assert finished.returncode == 1
    assert f"port {checkout.port} is taken" in finished.stderr
    assert f"PORT={checkout.port + 1} make up" in finished.stderr
    assert checkout.recorded() == {}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"MAX_ATTEMPTS": "banana"}, "MAX_ATTEMPTS"),
        ({"PROVIDER_URL": "http://provider.example"}, "PROVIDER_URL"),
        ({"ISSUER_URL": "http://issuer.example"}, "ISSUER_URL"),
        ({"ISSUER_URL": "https://issuer.example?tenant=1"}, "ISSUER_URL"),
        ({"PORT": "banana"}, "PORT"),
        ({"PORT": "65536"}, "PORT"),
    ],
)
def test_bad_setting_is_named_before_anything_starts(checkout: Checkout, variables: dict[str, str], said: str) -> None:
    finished = checkout.run("up", **variables)

    assert finished.returncode == 1
    assert said in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
    assert not checkout.folder.exists()


def test_changed_setting_is_deployed_in_place_and_data_stay(checkout: Checkout) -> None:
    before = checkout.up()
    processes = checkout.recorded()
    session = LocalSession(checkout.port)
    client = {"id": {"S": "kept"}}
    session.client("dynamodb").put_item(TableName="vestnik-clients", Item=client)

    after = checkout.up(MAX_ATTEMPTS="7", PROVIDER_URL="http://127.0.0.1:9", PROVIDER_TOKEN="a.b.c", TOKEN="d.e.f")

    function = session.client("lambda").get_function(FunctionName="vestnik-sender")["Configuration"]
    assert function["Environment"]["Variables"]["MAX_ATTEMPTS"] == "7"
    secret = session.client("secretsmanager").get_secret_value(SecretId="vestnik/provider-token")
    assert secret["SecretString"] == "a.b.c"
    kept = session.client("dynamodb").get_item(TableName="vestnik-clients", Key=client)
    assert kept["Item"] == client
    assert after.provider_url == "http://127.0.0.1:9"
    for token in (before.token, after.token):  # and not TOKEN, which is for another issuer's
        bearer = {"Authorization": f"Bearer {token}"}
        assert requests.get(f"{after.api_url}/clients", headers=bearer, timeout=30).status_code == 200
    assert checkout.recorded() == {name: processes[name] for name in ("emulator", "development issuer")}


def test_tokens_of_another_issuer_are_for_that_one_to_make(checkout: Checkout) -> None:
    issuer = {"ISSUER_URL": "http://127.0.0.1:9/", "API_AUDIENCE": "https://api.example"}

    without = checkout.run("up", **issuer)
    info = checkout.info()
    given = checkout.up(**issuer, TOKEN="a.b.c")

    assert without.returncode == 0, without.stderr
    assert "no token in stack.json: only http://127.0.0.1:9/ can make one" in without.stdout
    assert (info.issuer_url, info.token) == ("http://127.0.0.1:9/", None)
    assert (given.issuer_url, given.token) == ("http://127.0.0.1:9/", "a.b.c")
    assert set(checkout.recorded()) == {"emulator", "provider simulator"}
    bearer = {"Authorization": f"Bearer {given.token}"}
    assert requests.get(f"{given.api_url}/clients", headers=bearer, timeout=30).status_code == 401


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_start_ends_all_that_it_started(checkout: Checkout, number: signal.Signals) -> None:
    with checkout.start("up") as program:
        poll(lambda: "emulator" in checkout.recorded(), until=bool, deadline_seconds=30)
        program.send_signal(number)
        _, stderr = program.communicate(timeout=30)

    assert program.returncode == INTERRUPTED
    assert "interrupted" in stderr
    assert checkout.living() == []
    assert checkout.recorded() == {}


@needs_proc
def test_killed_start_is_cleared_away_by_the_next_command(checkout: Checkout) -> None:
    with checkout.start("up") as program:
        poll(lambda: "emulator" in checkout.recorded(), until=bool, deadline_seconds=30)
        program.kill()
    assert checkout.living()

    finished = checkout.run("down")

    assert finished.returncode == 0
    assert checkout.living() == []


@needs_proc
def test_stack_comes_back_after_its_emulator_was_killed(checkout: Checkout) -> None:
    checkout.up()
    os.kill(checkout.recorded()["emulator"], signal.SIGKILL)
    poll(lambda: is_port_free(checkout.port), until=bool, deadline_seconds=30)

    info = checkout.up()

    assert requests.get(f"{info.api_url}/health", timeout=30).status_code == 200
    assert checkout.run("down").returncode == 0
    poll(lambda: checkout.living() == [], until=bool, deadline_seconds=30)


def test_down_spares_a_stranger_that_was_given_the_pid(checkout: Checkout) -> None:
    checkout.folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True) as stranger:
        try:
            record = [{"name": "emulator", "pid": stranger.pid, "started": "another time"}]
            (checkout.folder / "processes.json").write_text(json.dumps(record))

            finished = checkout.run("down")

            assert (finished.returncode, finished.stdout) == (0, "nothing to stop\n")
            assert stranger.poll() is None
        finally:
            stranger.kill()


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere/at/all", 404), ("PUT", "/clients", 405)])
def test_what_no_route_serves_is_answered_by_the_application(
    stack: RunningStack, method: str, path: str, status: int
) -> None:
    answer = stack.request(method, path)

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
