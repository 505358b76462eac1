"""`.gitlab-ci.yml`, whose form `make check` validates: what its jobs run is there, and runs."""

import os
import re
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import coverage
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())
NO_JOBS = {"stages", "workflow", "default", "variables"}
MAKE = re.compile(r"(?:^|[;&| (])(?:make|\.ci/run) ([^;&|)\n]+)", re.MULTILINE)
MAKE_HERE = "make --no-print-directory --assume-old=.venv/.installed"  # what is installed stays as it is


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Put maps into maps, as `extends` does; all else is replaced."""
    both = {
        name: merged(below[name], above[name])
        for name in below.keys() & above.keys()
        if isinstance(below[name], dict) and isinstance(above[name], dict)
    }
    return {**below, **above, **both}


def whole(job: Mapping[str, Any]) -> dict[str, Any]:
    return merged(PIPELINE[job["extends"]], job) if "extends" in job else dict(job)


JOBS = {name: whole(job) for name, job in PIPELINE.items() if name not in NO_JOBS and not name.startswith(".")}
DEPLOYERS = {name: job for name, job in JOBS.items() if job["stage"] == "deploy"}


def script(job: Mapping[str, Any]) -> str:
    return "\n".join([*job.get("before_script", []), *job["script"]])


def made(text: str) -> Iterator[str]:
    for found in MAKE.finditer(text):
        yield found[1].strip()


def run(command: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],  # noqa: S607 - found on PATH
        cwd=cwd,
        env=environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", JOBS)
def test_what_a_job_makes_has_its_target_and_its_script_is_bash(name: str) -> None:
    text = script(JOBS[name])
    syntax = run(f"bash -n <<'END'\n{text}\nEND")
    assert (syntax.returncode, syntax.stderr) == (0, "")
    targets = list(made(text))
    assert targets
    for target in targets:
        dry = run(f"{MAKE_HERE} --dry-run {target}")
        assert dry.returncode == 0, dry.stderr
        assert dry.stdout


def test_reports_are_written_where_the_job_looks_for_them() -> None:
    (target,) = made(script(JOBS["test"]))
    dry = run(f"{MAKE_HERE} --dry-run {target}").stdout
    reports = JOBS["test"]["artifacts"]["reports"]
    assert f"--junitxml '{reports['junit']}'" in dry
    assert f"--cov-report 'xml:{reports['coverage_report']['path']}'" in dry
    assert JOBS["test"]["artifacts"]["when"] == "always"


def test_the_share_of_covered_lines_is_found_in_what_coverage_prints(tmp_path: Path) -> None:
    module = tmp_path / "half.py"
    module.write_text("def one():\n    return 1\n\n\ndef two():\n    return 2\n\n\none()\n")
    measured = coverage.Coverage(data_file=None, config_file=str(ROOT / "pyproject.toml"), source=[str(tmp_path)])
    measured.start()
    exec(compile(module.read_text(), str(module), "exec"), {})  # noqa: S102 - the module of three lines above
    measured.stop()
    printed = tmp_path / "report.txt"
    with printed.open("w") as file:
        measured.report(file=file)
    pattern = re.compile(JOBS["test"]["coverage"].strip("/"))
    (found,) = [found for line in printed.read_text().splitlines() if (found := pattern.search(line))]
    assert 0 < float(found[1]) < 100


def test_the_package_is_an_artifact() -> None:
    text = script(JOBS["package"])
    packaged = run(text.replace("make ", f"{MAKE_HERE} "))
    assert packaged.returncode == 0, packaged.stderr
    template = Path(packaged.stdout.strip())
    (kept,) = JOBS["package"]["artifacts"]["paths"]
    assert template.is_relative_to(ROOT / kept)
    assert template.exists()
    assert template.with_name("deployment.zip").exists()


def test_a_deployment_waits_for_checks_tests_and_the_package() -> None:
    for name, job in DEPLOYERS.items():
        assert set(job["needs"]) <= set(JOBS), name
        assert name == "stop dev" or {"check", "test", "package"} <= set(job["needs"])


def test_each_deployment_is_alone_and_is_not_broken_off() -> None:
    for name, job in DEPLOYERS.items():
        assert job["interruptible"] is False, name
        assert job["resource_group"] == job["environment"]["name"], name
        assert f"STAGE={job['environment']['name']} " in script(job), name


def test_production_is_deployed_by_hand_from_a_tag_after_its_change_set_was_shown() -> None:
    deploy, propose = JOBS["deploy prod"], JOBS["propose prod"]
    (rule,) = deploy["rules"]
    assert (rule["if"], rule["when"]) == ("$CI_COMMIT_TAG", "manual")
    assert "propose prod" in deploy["needs"]
    assert "PLAN=1" in script(propose)
    assert propose["artifacts"]["paths"] == ["change-set.txt"]
    assert not [name for name, job in JOBS.items() if "prod YES=1" in script(job) and name != "deploy prod"]


def test_the_job_that_stops_an_environment_is_there() -> None:
    for job in DEPLOYERS.values():
        if stop := job["environment"].get("on_stop"):
            stopper = JOBS[stop]["environment"]
            assert (stopper["name"], stopper["action"]) == (job["environment"]["name"], "stop")


def test_deployers_come_to_a_role_of_aws_by_gitlabs_word_and_have_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    job = JOBS["deploy dev"]
    told = {"CI_PROJECT_DIR": str(tmp_path), "CI_PIPELINE_ID": "7", "DEPLOY_ROLE_ARN": "arn:aws:iam::1:role/deploy"}
    variables = {
        name: re.sub(r"\$(\w+)", lambda found: told[found[1]], value) for name, value in job["variables"].items()
    }
    before = run("\n".join(job["before_script"]), cwd=tmp_path, AWS_ID_TOKEN="header.claims.signature", **variables)
    assert before.returncode == 0, before.stderr
    token = Path(variables["AWS_WEB_IDENTITY_TOKEN_FILE"])
    assert token.read_text() == "header.claims.signature"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    credentials = boto3.Session(region_name="us-east-1").get_credentials()
    assert credentials is not None
    assert credentials.method == "assume-role-with-web-identity"
    assert set(job["id_tokens"]) == {"AWS_ID_TOKEN"}


def test_images_are_pinned_and_rules_are_rules() -> None:
    images = [PIPELINE["default"]["image"], *(job["image"] for job in JOBS.values() if "image" in job)]
    assert [image for image in images if not re.fullmatch(r"[a-z./-]+:\d+\.\d+\.\d+[a-z0-9.-]*", image)] == []
    assert [name for name, job in JOBS.items() if {"only", "except"} & job.keys()] == []
