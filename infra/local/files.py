import os
import shutil
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REMOVED_AT_ONCE = 8


def write_private(path: Path, text: str) -> None:
    """Write the file whole or not at all, readable by its owner only (mode 0600)."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_folders(folders: Iterable[Path]) -> None:
    """Remove folders, if they are there, several at a time.

    A disk that is told which blocks are free keeps whoever deletes waiting: one by one takes some times as long.
    """
    with ThreadPoolExecutor(REMOVED_AT_ONCE) as pool:
        for folder in folders:
            pool.submit(shutil.rmtree, folder, ignore_errors=True)
