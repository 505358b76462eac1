"""The code's zip as Lambda should get it: compiled, and without the descriptions that nobody here reads.

Both are about cold starts. Lambda cannot write beside the code, so without compiled modules each new process compiles
all that it imports; and botocore's descriptions of 400 services and Babel's
of 1,000 locales are most of what would have to be fetched and unpacked.

Our own modules keep their sources, so that a traceback shows its lines. Libraries come compiled alone, their modules in
the places of their sources: a third fewer files, and to unpack a file can take longer than to import it.
"""

import compileall
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

from local_error import LocalError

SERVICES = frozenset({"dynamodb", "lambda", "logs", "s3", "scheduler", "secretsmanager", "ses", "sqs"})
"""AWS services that the functions call, by their names in boto3; a packaging test holds the code to it."""

LOCALES = frozenset({"root", "en", "ru"})
"""Languages of the pages, by the names of Babel's data."""

_OWN = frozenset({"app.py", "chalicelib"})
_FOR_TOOLS = ("/RECORD", "/WHEEL", "/py.typed", ".pyi")  # read by installers and type checkers

_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # zips of the same content are the same


def improve(code: Path) -> None:
    """Rewrite a zip that Chalice made."""
    with tempfile.TemporaryDirectory(dir=code.parent, prefix=".compiling-") as scratch:
        folder = Path(scratch)
        with zipfile.ZipFile(code) as made:
            made.extractall(folder, [name for name in made.namelist() if _is_wanted(name)])
        # By hash and unchecked: in a zip unpacked elsewhere neither time nor source could be compared.
        if not compileall.compile_dir(
            folder, quiet=1, workers=0, stripdir=str(folder), invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
        ):
            raise LocalError("a module of the package does not compile; see above")
        better = code.with_suffix(".better")
        with zipfile.ZipFile(better, "w", zipfile.ZIP_DEFLATED) as zipped:
            for path in _files(folder):
                name = _name_in_zip(path.relative_to(folder))
                if not name:
                    continue
                entry = zipfile.ZipInfo(name, _LONG_AGO)
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                zipped.writestr(entry, path.read_bytes())
        better.replace(code)


def _name_in_zip(path: Path) -> str | None:
    """Where a file goes. A library's source goes nowhere, and what was compiled of it goes where import looks then."""
    is_compiled = path.parent.name == "__pycache__"
    source = path.parent.parent / f"{path.name.partition('.')[0]}.py" if is_compiled else path
    if source.suffix != ".py" or source.parts[0] in _OWN:
        return path.as_posix()
    return source.with_suffix(".pyc").as_posix() if is_compiled else None


def _is_wanted(name: str) -> bool:
    if name.endswith(_FOR_TOOLS):
        return False
    parts = name.split("/")
    if parts[:2] == ["babel", "locale-data"]:
        return parts[-1].removesuffix(".dat") in LOCALES
    if parts[:2] != ["botocore", "data"]:
        return not name.endswith("/")
    # Files there are of all services: endpoints, partitions, retries.
    return len(parts) == 3 or parts[2] in SERVICES  # noqa: PLR2004 - botocore/data/<file>


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(root) / name for name in sorted(names))
