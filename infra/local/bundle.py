"""The deployable bundle: the template that Chalice and infra/template.yaml make together, and the code's zip."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

import code_zip
from local_error import LocalError

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".local" / "package"
KEPT_BUNDLES = 4
_ZIPPER = Path(code_zip.__file__).relative_to(ROOT)

# Chalice's command line, by the interpreter that runs us: its version becomes the functions' runtime.
_CHALICE = [sys.executable, "-c", "import sys; from chalice.cli import main; sys.exit(main())"]


@dataclass(frozen=True)
class Bundle:
    """A packaged application: `digest` names its sources."""

    folder: Path
    digest: str

    @property
    def template(self) -> Path:
        """The merged SAM template, as JSON: CloudFormation knows no YAML aliases."""
        return self.folder / "template.json"

    @property
    def code(self) -> Path:
        """The zip that all functions run."""
        return self.folder / "deployment.zip"


def make_bundle() -> Bundle:
    """Package the application unless this very state of its sources is packaged already."""
    digest = source_digest()
    bundle = Bundle(CACHE / digest, digest)
    if not bundle.template.exists():
        _package(bundle.folder)
        _forget_old_bundles()
    os.utime(bundle.folder)
    return bundle


def source_digest() -> str:
    """Name the state of all that goes into the bundle."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {sys.platform}".encode())
    for path in (*_sources(), _ZIPPER):
        digest.update(f"\n{path} {(ROOT / path).stat().st_size}\n".encode())
        digest.update((ROOT / path).read_bytes())
    return digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    for name in ("app.py", "requirements.txt", ".chalice/config.json", "infra/template.yaml"):
        yield Path(name)
    for path in sorted((ROOT / "chalicelib").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
            yield path.relative_to(ROOT)


def _package(folder: Path) -> None:
    """Run Chalice on a clean copy, so that no stray file of the working tree gets into the zip."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=".making-") as scratch:
        project = Path(scratch) / "project"
        for path in _sources():
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, project / path)
        _run_chalice(["package", "--stage", "main", "--merge-template", "infra/template.yaml", "out"], cwd=project)
        out = project / "out"
        merged = yaml.safe_load((out / "sam.yaml").read_text())
        (out / "template.json").write_text(json.dumps(merged, indent=1))
        code_zip.improve(out / "deployment.zip")
        try:
            out.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was first, with the same content
                raise


def _run_chalice(arguments: list[str], *, cwd: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environ["AWS_DEFAULT_REGION"] = "us-east-1"  # Chalice asks for one, and puts it nowhere
    environ["PYTHONDONTWRITEBYTECODE"] = "1"
    with subprocess.Popen(
        [*_CHALICE, *arguments],
        cwd=cwd,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that pip beneath it ends with it
    ) as chalice:
        try:
            said, _ = chalice.communicate()
        except BaseException:
            os.killpg(chalice.pid, signal.SIGKILL)
            raise
    # Chalice says what it could not vendor, and succeeds all the same.
    if chalice.returncode or "Could not install dependencies" in said:
        raise LocalError(f"chalice package failed:\n{said}")


def _forget_old_bundles() -> None:
    bundles = sorted(CACHE.glob("[0-9a-f]*"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in bundles[KEPT_BUNDLES:]:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    print(make_bundle().template)
