"""The deployed package's code, run as Lambda runs it: by a bare interpreter that finds nothing else."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Isolated, without site-packages; and Lambda cannot write beside the code either.
_PYTHON = [sys.executable, "-I", "-S", "-B", "-c"]


def run_unpacked(code: Path, program: str, *arguments: str, environ: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
    """Run a program, given the folder of the unpacked zip and then `arguments`; returns the JSON that it prints."""
    ended = subprocess.run(
        [*_PYTHON, program, str(code), *arguments],
        env={"AWS_DEFAULT_REGION": "us-east-1", **environ},
        cwd=code,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
