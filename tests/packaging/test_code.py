import sys
import zipfile
from pathlib import Path

from bundle import Bundle
from code_zip import SERVICES
from tests.merged_template import Part, functions
from tests.settings import ENVIRONMENT
from tests.unpacked import run_unpacked

CACHE_TAG = sys.implementation.cache_tag
MEGABYTE = 1_000_000
LAMBDA_LIMIT_UNPACKED = 250 * MEGABYTE
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
unwanted = sorted({"cryptography", "joserfc", "aws_xray_sdk", "wrapt"} & sys.modules.keys())
print(json.dumps({"missing": missing, "outside": outside, "unwanted": unwanted}))
"""
# Builds all that there is, and says for which services there are clients.
BUILD_ALL = """
import json, sys
sys.path.insert(0, sys.argv[1])
from functools import cached_property
from unittest import mock
import botocore.session
made = set()
create = botocore.session.Session.create_client
def noted(self, name, *args, **kwargs):
    made.add(name)
    return create(self, name, *args, **kwargs)
with mock.patch.object(botocore.session.Session, "create_client", noted):
    from chalicelib.bootstrap import Application, application
    for name, value in vars(Application).items():
        if isinstance(value, cached_property):
            getattr(application(), name)
    application().secrets._provider.client
print(json.dumps(sorted(made)))
"""


def test_every_handler_is_importable_from_the_zip_alone(template: Part, unpacked: Path) -> None:
    handlers = sorted({function["Handler"] for function in functions(template).values()})

    found = run_unpacked(unpacked, IMPORT_HANDLERS, *handlers, environ={})

    assert found == {"missing": [], "outside": [], "unwanted": []}
    names = ("app", "daily_report", "dispatcher", "drift_check", "importer", "plan_segment", "planner", "sender")
    assert handlers == [f"app.{name}" for name in names]


# What is of the API alone: its routes, the pages' templates and translations, and what checks access tokens.
ROUTES_AND_PACKAGES = """
import json, sys
sys.path.insert(0, sys.argv[1])
import app
packages = {"chalicelib.api", "chalicelib.admin", "jinja2", "babel"} & sys.modules.keys()
print(json.dumps([len(app.app.routes), sorted(packages)]))
"""


def test_the_api_alone_imports_what_answers_requests(template: Part, unpacked: Path) -> None:
    suffixes = {function["FunctionName"]["Fn::Sub"].rpartition("}")[2] for function in functions(template).values()}

    for suffix in suffixes:
        environ = {"AWS_LAMBDA_FUNCTION_NAME": f"vestnik{suffix}"}
        routes, packages = run_unpacked(unpacked, ROUTES_AND_PACKAGES, environ=environ)
        if suffix == "-api":
            assert routes > 50
            assert {"chalicelib.admin", "chalicelib.api"} <= set(packages)
        else:
            assert (routes, packages) == (0, []), suffix


# Which objects are left to look at, when all is imported and collections come; a full one ends with few.
COLLECTOR = """
import gc, json, sys
sys.path.insert(0, sys.argv[1])
import app
print(json.dumps([gc.get_freeze_count(), len(gc.get_objects()), gc.isenabled(), gc.get_threshold()[0]]))
"""


def test_what_was_imported_is_not_collected_again_and_again(unpacked: Path) -> None:
    for function in ("api", "sender"):
        environ = {"AWS_LAMBDA_FUNCTION_NAME": f"vestnik-{function}"}

        kept, looked_at, is_enabled, collect_after = run_unpacked(unpacked, COLLECTOR, environ=environ)

        assert (kept > 50_000, looked_at < 1_000, is_enabled) == (True, True, True), (kept, looked_at)
        assert collect_after == 20_000


def test_all_functions_run_the_same_zip(template: Part) -> None:
    assert {function["CodeUri"] for function in functions(template).values()} == {"./deployment.zip"}


def test_zip_holds_what_runs_and_nothing_else(bundle: Bundle) -> None:
    with zipfile.ZipFile(bundle.code) as code:
        every = code.namelist()

    names = [name for name in every if not name.endswith(".pyc")]
    tops = {name.split("/")[0] for name in every}
    assert {"app.py", "chalicelib", "chalice", "boto3", "requests", "tzdata", "joserfc"} <= tops
    development = {"tests", "infra", "docs", "pytest", "moto", "ministack", "mypy", "ruff", "cfnlint"}
    issuer = {"authlib", "flask", "werkzeug", "local_issuer", "development_issuer.py"}
    assert not tops & (development | issuer)
    assert not [name for name in names if "local_issuer" in name or "development_issuer" in name]
    assert {name for name in every if name.startswith("chalice/")} == {"chalice/__init__.pyc", "chalice/app.pyc"}
    ours = [name for name in names if name.startswith(("app", "chalicelib/"))]
    assert not [name for name in ours if "/." in name]


def test_every_module_is_compiled_and_never_compared_with_its_source(bundle: Bundle) -> None:
    with zipfile.ZipFile(bundle.code) as code:
        names = {name for name in code.namelist() if name.endswith((".py", ".pyc"))}
        flags = {int.from_bytes(code.read(name)[4:8], "little") for name in names if name.endswith(".pyc")}

    sources = {Path(name) for name in names if name.endswith(".py")}
    compiled = {str(path.parent / "__pycache__" / f"{path.stem}.{CACHE_TAG}.pyc") for path in sources}
    assert {path.parts[0] for path in sources} == {"app.py", "chalicelib"}, "only ours have sources"
    assert compiled == {name for name in names if "__pycache__" in name}, "the libraries' stand in place of sources"
    assert flags == {0b01}, "hash-based, unchecked (PEP 552)"


def test_every_part_of_the_application_can_be_built_from_the_zip_alone(unpacked: Path) -> None:
    assert set(run_unpacked(unpacked, BUILD_ALL, environ=ENVIRONMENT)) == SERVICES


def test_zip_stays_small(bundle: Bundle) -> None:
    with zipfile.ZipFile(bundle.code) as code:
        entries = code.infolist()

    assert bundle.code.stat().st_size < 18 * MEGABYTE  # cryptography is five of them, what the pages need three
    assert sum(entry.file_size for entry in entries) < LAMBDA_LIMIT_UNPACKED
    assert len(entries) < 2_700  # 640 are time zones
