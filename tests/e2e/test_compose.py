"""Every command of docker-compose.localstack.yml that can run without Docker, with the embedded emulator's profile."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.compose import SERVICES, Machine, machine_in
from tests.prometheus import Prometheus, program, promtool
from tests.running_stack import poll

RUN_HERE = {"embedded", "provider", "issuer", "deployer", "addresses", "prometheus", "main-job"}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    made = machine_in(tmp_path_factory.mktemp("containers"))
    with ExitStack() as services:
        for name in ("embedded", "provider", "issuer"):
            services.enter_context(made.running(name))
        for name in ("embedded", "provider", "issuer"):
            poll(lambda name=name: made.is_healthy(name), until=bool, deadline_seconds=60)  # type: ignore[misc]
        yield made


@pytest.fixture(scope="module")
def deployed(machine: Machine) -> str:
    done = machine.run("deployer")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def published(machine: Machine, deployed: str) -> dict[str, Any]:
    assert deployed
    done = machine.run("addresses")
    assert done.returncode == 0, done.stderr
    stack: dict[str, Any] = json.loads((machine.folder / "published.json").read_text())
    assert stack["api_url"] in done.stdout
    return stack


def test_every_service_but_localstack_runs_here() -> None:
    assert set(SERVICES) - RUN_HERE == {"localstack"}


def test_health_checks_fail_where_nobody_answers(tmp_path: Path) -> None:
    nowhere = machine_in(tmp_path)
    for name in ("embedded", "provider", "issuer"):
        assert not nowhere.is_healthy(name), name


def test_localstack_is_well_when_an_emulator_answers_its_question(machine: Machine) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on the PATH; LocalStack's image has one")
    assert machine.is_healthy("localstack")


def test_deployer_makes_the_stack_and_finds_it_made_the_next_time(machine: Machine, deployed: str) -> None:
    assert "PlainHttpHosts" in deployed
    stack = json.loads((machine.folder / "stack.json").read_text())
    assert stack["stack_name"] == "vestnik-local"
    bearer = {"Authorization": f"Bearer {stack['token']}"}  # of the issuer whose memory is beside it
    assert requests.get(f"{stack['api_url']}/clients", headers=bearer, timeout=30).status_code == 200
    again = machine.run("deployer")
    assert (again.returncode, "no changes" in again.stdout) == (0, True), again.stdout + again.stderr


def test_a_plan_shows_what_would_change_and_changes_nothing(machine: Machine, deployed: str) -> None:
    assert deployed
    planned = machine.run("deployer", "--plan", "--parameter", "LogLevel=DEBUG")
    assert planned.returncode == 0, planned.stderr
    assert "LogLevel" in planned.stdout
    assert "no changes" in machine.run("deployer").stdout


def test_browsers_find_the_pages_and_their_issuer(published: dict[str, Any]) -> None:
    page = requests.get(published["admin_url"], timeout=30)
    assert page.status_code == 200
    login = requests.get(f"{published['admin_url']}login", allow_redirects=False, timeout=30)
    assert login.headers["Location"].startswith(f"{published['issuer_url']}/authorize?"), login.text


def test_main_job_sends_everything(machine: Machine, published: dict[str, Any]) -> None:
    assert published
    done = machine.run("main-job")
    assert done.returncode == 0, done.stdout + done.stderr
    received = requests.get(f"{published['provider_url']}/_received", timeout=30).json()
    assert received["unique"] >= 210
    assert received["duplicates"] == 0


def test_prometheus_scrapes_what_the_addresses_say(machine: Machine, published: dict[str, Any]) -> None:
    assert "SUCCESS" in promtool("check", "config", machine.folder / "monitoring" / "prometheus.localstack.yml")
    assert published["metrics_url"].endswith("/metrics")
    with machine.running("prometheus", program=program("prometheus")):
        if shutil.which("wget"):
            poll(lambda: machine.is_healthy("prometheus"), until=bool, deadline_seconds=30)
        prometheus = Prometheus(f"http://127.0.0.1:{machine.ports['9090']}")
        poll(prometheus.is_ready, until=bool, deadline_seconds=30)
        (target,) = poll(
            prometheus.targets,
            until=lambda targets: [each["health"] for each in targets] == ["up"],
            deadline_seconds=60,
        )
    assert target["scrapeUrl"].replace("127.0.0.1", "localhost") == published["metrics_url"].replace(
        "127.0.0.1", "localhost"
    )
