import os
import tempfile
from pathlib import Path


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
