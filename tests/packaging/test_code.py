import json
import subprocess
import sys
import zipfile
from pathlib import Path

from bundle import Bundle
from tests.merged_template import Part, functions

MEGABYTE = 1_000_000
LAMBDA_LIMIT_UNPACKED = 250 * MEGABYTE
# Imports with nothing on the path but the standard library and the zip's content.
IMPORT_HANDLERS = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
missing = []
for handler in sys.argv[2:]:
    module, _, name = handler.rpartition(".")
    if not callable(getattr(importlib.import_module(module), name, None)):
        missing.append(handler)
importlib.import_module("chalicelib.bootstrap")
outside = sorted(
    name for name, module in sys.modules.items()
    if "site-packages" in (getattr(module, "__file__", None) or "")
)
print(json.dumps({"missing": missing, "outside": outside}))
"""


def test_every_handler_is_importable_from_the_zip_alone(template: Part, unpacked: Path) -> None:
    handlers = sorted({function["Handler"] for function in functions(template).values()})

    finished = subprocess.run(
        [sys.executable, "-I", "-S", "-c", IMPORT_HANDLERS, str(unpacked), *handlers],
        env={"AWS_DEFAULT_REGION": "us-east-1"},
        cwd=unpacked,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == {"missing": [], "outside": []}
    assert handlers == ["app.app", "app.dispatcher", "app.drift_check", "app.plan_segment", "app.planner", "app.sender"]


def test_all_functions_run_the_same_zip(template: Part) -> None:
    assert {function["CodeUri"] for function in functions(template).values()} == {"./deployment.zip"}


def test_zip_holds_what_runs_and_nothing_else(bundle: Bundle) -> None:
    with zipfile.ZipFile(bundle.code) as code:
        names = code.namelist()

    tops = {name.split("/")[0] for name in names}
    assert {"app.py", "chalicelib", "chalice", "boto3", "requests", "tzdata"} <= tops
    development = {"tests", "infra", "docs", "pytest", "moto", "ministack", "mypy", "ruff", "cfnlint"}
    assert not tops & development
    assert {name for name in names if name.startswith("chalice/")} == {"chalice/__init__.py", "chalice/app.py"}
    ours = [name for name in names if name.startswith(("app", "chalicelib/"))]
    assert not [name for name in ours if "__pycache__" in name or "/." in name]


def test_zip_stays_small(bundle: Bundle) -> None:
    with zipfile.ZipFile(bundle.code) as code:
        unpacked_bytes = sum(entry.file_size for entry in code.infolist())

    assert bundle.code.stat().st_size < 50 * MEGABYTE
    assert unpacked_bytes < LAMBDA_LIMIT_UNPACKED
