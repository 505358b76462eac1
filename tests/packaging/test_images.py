"""The Dockerfile, as far as it can be tried without Docker: a folder with what it copies has to be enough."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes import HOST, Manifests

ROOT = Path(__file__).parents[2]
CLEAN = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "AWS_DEFAULT_REGION": "us-east-1"}
WITHOUT = """
import importlib.metadata, runpy, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(name, name=name)

installed = sys.argv.pop(1).split(",")
owners = importlib.metadata.packages_distributions().items()
missing = {name for name, packages in owners if not {each.lower() for each in packages} & set(installed)}
assert "pytest" in missing
sys.meta_path.insert(0, Missing())
import app
runpy.run_module("infra.host", run_name="__main__")
"""


def instructions() -> Iterator[tuple[str, str, str]]:
    """Yield stage, instruction and arguments."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    stage = ""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        name, _, rest = line.partition(" ")
        if name == "FROM":
            stage = rest.rpartition(" ")[2]
        if name:
            yield stage, name, rest


def copied(target: str) -> Iterator[tuple[str, str]]:
    """Yield what a target copies of the project, and whereto."""
    for stage, name, rest in instructions():
        if (stage, name) == (target, "COPY"):
            *sources, place = rest.split()
            for source in sources:
                yield source, f"{place}{source}" if place.endswith("/") else place


@pytest.fixture(scope="module")
def host_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of("host", tmp_path_factory.mktemp("host-image"))


@pytest.fixture(scope="module")
def tools_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of("tools", tmp_path_factory.mktemp("tools-image"))


def folder_of(target: str, folder: Path) -> Path:
    for source, place in copied(target):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, folder / place, ignore=shutil.ignore_patterns(*never_sent()))
        else:
            shutil.copyfile(ROOT / source, folder / place)
    return folder


def never_sent() -> list[str]:
    """Return the names that .dockerignore keeps back wherever they stand."""
    return [line.removeprefix("**/") for line in ignored_lines() if line.startswith("**/")]


def ignored_lines() -> list[str]:
    return [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]


def run(image: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=image, env=CLEAN, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    first, *others = ignored_lines()
    let_in = {line.removeprefix("!") for line in others if line.startswith("!")}
    wanted = {source for stage in ("host", "tools", "wheels") for source, _ in copied(stage)}

    assert first == "*"
    assert {each for each in wanted if not any(each == path or each.startswith(f"{path}/") for path in let_in)} == set()
    assert {path for path in let_in if not any(each == path or path in each for each in wanted)} == set()
    assert all((ROOT / path).exists() for path in wanted)


def test_functions_run_from_what_the_image_of_the_host_has_and_write_nothing(host_image: Path) -> None:
    before = files(host_image)

    assert "environment" in run(host_image, "-m", "infra.host", "--help")
    assert files(host_image) == before


def test_functions_run_with_the_packages_that_the_image_of_the_host_has(host_image: Path) -> None:
    listed = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements-host.txt").read_text(), re.MULTILINE)
    installed = {spelling for name in listed for spelling in (name.lower(), name.lower().replace("-", "_"))}

    assert "environment" in run(host_image, "-c", WITHOUT, ",".join(installed), "--help")


def test_the_image_of_the_tools_packages_the_very_application(tools_image: Path) -> None:
    digest = "import sys; sys.path.insert(0, 'infra/local'); import bundle; print(bundle.source_digest())"

    assert run(tools_image, "-c", digest) == run(ROOT, "-c", digest)


def test_programs_of_the_local_cluster_know_the_options_that_they_are_started_with(tools_image: Path) -> None:
    for name, container in Manifests.of("local").containers():
        args: list[str] = container.get("args", [])
        if args and args[0].startswith("infra/"):
            assert options_of(args) <= words(run(tools_image, args[0], "--help")), name


def test_the_host_knows_the_options_that_pods_start_it_with(host_image: Path) -> None:
    for name, container in Manifests.of("local").containers():
        if name in HOST:
            command, *args = container["args"]
            told = words(run(host_image, "-m", "infra.host", command, "--help"))
            assert options_of(args) <= told, name


def options_of(args: list[str]) -> set[str]:
    return {each.partition("=")[0] for each in args if each.startswith("--")}


def words(text: str) -> set[str]:
    return set(re.findall(r"[\w-]+", text))


def test_images_run_as_the_user_of_the_pods(local: Manifests) -> None:
    users = {stage: rest for stage, name, rest in instructions() if name == "USER"}
    (of_pods,) = {pod["spec"]["securityContext"]["runAsUser"] for pod in local.pods().values()}

    assert users == dict.fromkeys(("host", "tools"), f"{of_pods}:{of_pods}")


def test_pods_run_what_the_images_start(local: Manifests) -> None:
    entries = {stage: json.loads(rest) for stage, name, rest in instructions() if name == "ENTRYPOINT"}
    images = {name: container["image"] for name, container in local.containers()}

    assert entries == {"host": ["python", "-m", "infra.host"], "tools": ["python"]}
    assert {name for name, image in images.items() if image.startswith("vestnik-host:")} == set(HOST)
    assert all(image.startswith(("vestnik-host:", "vestnik-tools:")) for image in images.values())


def test_nothing_secret_and_nothing_that_moves_freely_goes_into_an_image() -> None:
    given = " ".join(rest for _, name, rest in instructions() if name in {"ARG", "ENV"})
    bases = [rest.split()[0] for _, name, rest in instructions() if name == "FROM"]

    assert not re.search(r"TOKEN|SECRET|PASSWORD|ACCESS_KEY", given)
    assert re.search(r"PYTHON_IMAGE=python:3\.11-slim-bookworm\b", given)
    assert set(bases) <= {"${PYTHON_IMAGE}", "wheels", "python"}
