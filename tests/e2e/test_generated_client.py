"""The document is good for what documents are for: a client generated from it does the main job, typed throughout."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running_stack import RunningStack

JOB = Path(__file__).with_name("integrators_job.py")
GENERATE = "import sys; from openapi_python_client.cli import app; sys.exit(app())"


def run(folder: Path, *arguments: str) -> str:
    """Run Python in a folder, which is on its path; return what it printed."""
    proxied = {"http_proxy", "https_proxy", "all_proxy"}  # none stands between two programs on loopback
    environ = {name: value for name, value in os.environ.items() if name.lower() not in proxied}
    tools = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"  # the generator formats by ruff
    finished = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environ | {"PYTHONPATH": str(folder), "PATH": tools},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def generated(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate a client from the deployed document; a name that clashes or a part left out is a failure."""
    folder = tmp_path_factory.mktemp("generated")
    address = f"{stack.info.api_url}/openapi.json"
    options = ("--meta", "none", "--output-path", "vestnik_client", "--fail-on-warning")
    run(folder, "-c", GENERATE, "generate", "--url", address, *options)
    return folder


def test_no_name_in_the_generated_client_is_made_up_by_its_generator(generated: Path) -> None:
    names = [path.stem for path in (generated / "vestnik_client" / "models").glob("*.py")]

    assert {"client_list", "mailing_status", "message_status", "window_shape"} <= set(names)
    assert [name for name in names if "_type_" in name or "additional_property" in name] == []


def test_the_job_agrees_with_the_types_of_the_generated_client(generated: Path) -> None:
    said = run(generated, "-m", "mypy", "--config-file=", "--strict", "--cache-dir", str(generated / "cache"), str(JOB))

    assert "Success" in said


def test_the_generated_client_does_the_main_job(generated: Path, stack: RunningStack) -> None:
    shown = json.loads(run(generated, str(JOB), stack.info.api_url, stack.token))

    assert (shown["sent"], shown["total"]) == (3, 3)
    assert (shown["page"], shown["clients"]) == (2, 2)
    assert shown["next"] == "none"
    assert "provider accepted" in shown["explanation"]
    assert (shown["taken"], shown["wrong"]) == (409, ["phone"])
