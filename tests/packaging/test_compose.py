"""docker-compose.localstack.yml, whose form `make check` validates: what its services say of each other."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from chalicelib.config import Settings, Tuning, parse
from tests.compose import COMPOSE, FILE, ROOT, SERVICES

OURS = {name: service for name, service in SERVICES.items() if service["image"] == "vestnik-tools:local"}
ONCE = {"deployer", "addresses", "main-job"}


def test_every_service_that_stays_says_whether_it_is_well() -> None:
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == ONCE


def test_nothing_is_published_beyond_loopback() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)] == []


def test_images_are_pinned_and_localstack_is_the_last_that_needs_no_account() -> None:
    images = {service["image"] for service in SERVICES.values()} - {"vestnik-tools:local"}
    assert SERVICES["localstack"]["image"] == "localstack/localstack:${LOCALSTACK_VERSION:-4.14.0}"
    assert [image for image in images if not re.search(r":(v|\$\{\w+:-)?\d+\.\d+\.\d+\}?$", image)] == []


def test_our_containers_may_do_nothing_that_they_need_not() -> None:
    for name, service in (*OURS.items(), ("prometheus", SERVICES["prometheus"])):
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not [volume for volume in service["volumes"] if "docker.sock" in volume], name


def test_programs_volumes_and_dependencies_are_there() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or source == "/var/run/docker.sock" or (ROOT / source).exists(), volume
        if name in OURS and service["command"][0] != "-m":
            assert (ROOT / service["command"][0]).exists(), name


def test_localstack_and_the_embedded_emulator_are_one_name_and_one_port() -> None:
    localstack, embedded = SERVICES["localstack"], SERVICES["embedded"]
    assert localstack["networks"] == embedded["networks"] == {"default": {"aliases": ["aws"]}}
    assert localstack["ports"] == embedded["ports"]
    assert "profiles" not in localstack
    assert SERVICES["deployer"]["depends_on"]["embedded"]["required"] is False


def test_functions_find_provider_and_issuer_in_their_network_by_what_the_deployer_tells_them() -> None:
    told = SERVICES["deployer"]["environment"]
    tuning = parse(Tuning, told)  # which refuses plain HTTP to any host that is not named
    assert SERVICES["localstack"]["environment"]["LAMBDA_DOCKER_NETWORK"] == COMPOSE["networks"]["default"]["name"]
    assert set(tuning.plain_http_hosts) == {"provider", "issuer.localhost"}
    assert set(told) - {name.upper() for name in Settings.model_fields} == {
        "AWS_ENDPOINT_URL",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    }


def test_issuer_is_at_one_address_for_functions_and_browsers() -> None:
    issuer, address = SERVICES["issuer"], SERVICES["deployer"]["environment"]["ISSUER_URL"]
    assert f"--address={address}" in issuer["command"]
    assert issuer["networks"]["default"]["aliases"] == [address.removeprefix("http://").partition(":")[0]]
    port = address.rpartition(":")[2]
    assert issuer["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"--port={port}" in issuer["command"]


def test_docker_understands_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("there is no `docker compose` on this machine")
    for profile in ("", "embedded", "job"):
        told = ["--profile", profile] if profile else []
        command = [docker, "compose", "--file", str(FILE), *told, "config", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(ROOT), check=False)
        assert done.returncode == 0, done.stderr
