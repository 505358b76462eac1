"""The overlay `local` played on this machine: each container's command and environment, with loopback for a network."""

import base64
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from probe import POLL_SECONDS, free_port, status_of, wait_until
from sessions import ACCESS_KEY, REGION
from sessions import HOST as LOOPBACK
from tests.emulated_roles import allow_in_other_words
from tests.kubernetes import HOST, Manifests

ROOT = Path(__file__).parents[2]
STACK = "vestnik-local"
GUIDE = ROOT / "docs/KUBERNETES.md"
PROGRAMS = ("emulator", "provider", "issuer")
SEEN_BY_USERS = "8000"  # of the port that the guide has kubectl forward
DEADLINE_SECONDS = 90
OK = 200


@dataclass
class Cluster:
    """Processes in the places of pods."""

    folder: Path
    manifests: Manifests = field(default_factory=lambda: Manifests.of("local"))
    ports: dict[str, int] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    credentials: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ports = {name: free_port() for name in (*PROGRAMS, "api")}
        self.folder.joinpath("state").mkdir()

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start the container of a workload."""
        container = dict(self.manifests.containers())[name]
        entry = ["-m", "infra.host"] if container["image"].startswith("vestnik-host:") else []
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, *entry, *(self.here(text, name) for text in container["args"])],
                cwd=ROOT,
                env=self.environ(name),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.running[name]

    def environ(self, name: str) -> dict[str, str]:
        """Return what the container of a workload is told."""
        container = dict(self.manifests.containers())[name]
        told: dict[str, str] = {}
        for source in container.get("envFrom", []):
            ((kind, reference),) = source.items()
            if kind == "configMapRef":
                told |= self.manifests.of_kind("ConfigMap")[reference["name"]]["data"]
            else:
                secret = self.manifests.of_kind("Secret")[reference["name"]]["data"]
                told |= {key: base64.b64decode(value).decode() for key, value in secret.items()}
        told |= {each["name"]: each["value"] for each in container.get("env", [])}
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)} | {
            variable: self.here(value, name) for variable, value in (told | self.credentials.get(name, {})).items()
        }

    def client(self, service: str, credentials: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Make a client of the emulator."""
        key = credentials or {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": ACCESS_KEY}
        return boto3.client(  # type: ignore[call-overload]
            service,
            region_name=REGION,
            endpoint_url=f"http://{LOOPBACK}:{self.ports['emulator']}",
            aws_access_key_id=key["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=key["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=key.get("AWS_SESSION_TOKEN"),
        )

    def here(self, text: str, name: str) -> str:
        """Put this machine's addresses and folders in the places of the cluster's."""
        container = dict(self.manifests.containers()).get(name, {})
        for service in PROGRAMS:
            text = re.sub(rf"\b{service}:\d+", f"{LOOPBACK}:{self.ports[service]}", text)
        text = text.replace(f":{SEEN_BY_USERS}", f":{self.ports['api']}").replace("0.0.0.0", LOOPBACK)  # noqa: S104
        for port in container.get("ports", []):
            text = re.sub(rf"\b{port['containerPort']}\b", str(self.ports[name]), text)
        text = LOOPBACK if text == "emulator" else text
        return re.sub(r"(^|=)/(state|tmp)\b", rf"\1{self.folder}/\2", text)

    def answers(self, name: str, path: str) -> None:
        """Wait until a container does."""
        url = f"http://{LOOPBACK}:{self.ports[name]}{path}"
        wait_until(
            lambda: status_of(url) == OK,
            f"{url} answers 200",
            deadline_seconds=DEADLINE_SECONDS,
            log=self.folder / f"{name}.log",
        )

    def ends(self, process: subprocess.Popen[bytes]) -> int:
        """Wait until a process ends; containers of the host that do so meanwhile are started again, as by a kubelet."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while process.poll() is None:
            assert time.monotonic() < deadline, f"{process.args!r} has not ended"
            for name in self.running.keys() & set(HOST):
                if self.running[name].poll() is not None:
                    self.start(name)
            time.sleep(POLL_SECONDS)
        return process.returncode

    def probe_path(self, name: str) -> str:
        """Return what the cluster would ask for."""
        path: str = dict(self.manifests.containers())[name]["startupProbe"]["httpGet"]["path"]
        return path

    def end(self) -> dict[str, int]:
        """End all as a cluster does; returns what they ended with."""
        for process in self.running.values():
            process.terminate()
        codes = {}
        for name, process in self.running.items():
            with suppress(subprocess.TimeoutExpired):
                grace = self.manifests.pods()[name]["spec"].get("terminationGracePeriodSeconds", 30)
                codes[name] = process.wait(grace)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self.running.clear()
        return codes


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    (tmp_path / "tmp").mkdir()
    made = Cluster(tmp_path)
    yield made
    made.end()


def test_pods_send_a_mailing_and_end_when_they_are_told_to(cluster: Cluster) -> None:
    for name in (*PROGRAMS, *HOST):
        cluster.start(name)
    deploy(cluster)

    send(cluster)
    codes = cluster.end()
    assert {name: codes.get(name) for name in HOST} == dict.fromkeys(HOST, 0)


def test_pods_need_no_rights_but_those_of_their_roles(cluster: Cluster) -> None:
    containers = dict(cluster.manifests.containers())
    containers["emulator"]["env"].append({"name": "AUTH", "value": "true"})
    containers["deploy"]["args"] += ["--parameter", "PodsAssumeRoles=true"]
    for name in PROGRAMS:
        cluster.start(name)
    deploy(cluster)
    allow_in_other_words(cluster.client("iam"), STACK)
    cluster.credentials = {name: credentials_of(cluster, role) for name, role in roles_of_the_guide().items()}
    for name in HOST:
        cluster.start(name)

    send(cluster)
    assert denied(cluster, "clock", "dynamodb", "scan", TableName=f"{STACK}-clients")
    assert denied(cluster, "api", "sqs", "purge_queue", QueueUrl=cluster.environ("api")["SEND_QUEUE_URL"])
    cluster.end()
    assert "AccessDenied" not in "".join((cluster.folder / f"{name}.log").read_text() for name in HOST)


def denied(cluster: Cluster, name: str, service: str, call: str, **arguments: str) -> bool:
    """Say whether AWS refuses a call by what a pod has taken."""
    try:
        getattr(cluster.client(service, cluster.credentials[name]), call)(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}
    return False


def roles_of_the_guide() -> dict[str, str]:
    """Return which role the guide has each service account take."""
    (pairs,) = re.findall(r"^for pair in (.*); do$", GUIDE.read_text(), re.MULTILINE)
    return dict(pair.split(":") for pair in pairs.split())


def credentials_of(cluster: Cluster, logical_id: str) -> dict[str, str]:
    """Take a role, as EKS does for a pod."""
    stack = cluster.client("cloudformation")
    found = stack.describe_stack_resource(StackName=STACK, LogicalResourceId=logical_id)
    role = cluster.client("iam").get_role(RoleName=found["StackResourceDetail"]["PhysicalResourceId"])["Role"]
    taken = cluster.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName=logical_id)["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": taken["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": taken["SecretAccessKey"],
        "AWS_SESSION_TOKEN": taken["SessionToken"],
    }


def deploy(cluster: Cluster) -> None:
    """Have the Job make the stack."""
    for name in PROGRAMS:
        cluster.answers(name, cluster.probe_path(name))
    assert cluster.ends(cluster.start("deploy")) == 0, (cluster.folder / "deploy.log").read_text()


def send(cluster: Cluster) -> None:
    """Do the main job by the commands of the guide."""
    cluster.answers("api", cluster.probe_path("api"))
    (stack,) = (each for name, each in cluster.manifests.of_kind("ConfigMap").items() if name.startswith("stack-"))
    stack_file = cluster.folder / "state/stack.json"
    stack_file.write_text(cluster.here(stack["data"]["stack.json"], "user"))
    token = guided(cluster, r"exec deployment/issuer -- (python infra/local/access_token\.py .*?)\)$")
    assert json.loads(stack_file.read_text())["token"] == "TOKEN"
    stack_file.write_text(stack_file.read_text().replace("TOKEN", token.strip()))
    sent = guided(cluster, r"^(\.venv/bin/python infra/local/main_job\.py --stack \S+)$")
    assert re.search(r"^ *all +0 +0 +210 +0 +0 +0 +210", sent, re.MULTILINE), sent


def guided(cluster: Cluster, pattern: str) -> str:
    """Run a command of the guide; returns what it prints."""
    (command,) = re.findall(pattern, GUIDE.read_text(), re.MULTILINE)
    _, program, *arguments = shlex.split(command)
    here = [str(cluster.folder / "state/stack.json") if each.endswith(".json") else each for each in arguments]
    said = cluster.folder / "guided.log"
    with said.open("wb") as log:
        process = subprocess.Popen([sys.executable, program, *here], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        ended_with = cluster.ends(process)
    assert ended_with == 0, said.read_text()
    return said.read_text()
