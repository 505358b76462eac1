"""The runbooks of docs/OPERATIONS.md, and a shell that their blocks are pasted into."""

import os
import re
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
OPERATIONS = ROOT / "docs/OPERATIONS.md"
BLOCK = re.compile(r"^(?P<indent> *)```sh(?P<on_aws> on-aws)?\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
PREFACE = ""  # the title of what stands before the first section
WHAT_PROGRAMS_NEED = ("Makefile", "app.py", "chalicelib", "infra", ".chalice", "pyproject.toml")
DEADLINE_SECONDS = 240
# In the place of programs that speak to AWS: what they are told is checked, and nothing is called.
OFFLINE = """
aws() { command aws "$@" --generate-cli-skeleton output; }
.venv/bin/python() { printf '%s\\n' "$@"; }
export AWS_DEFAULT_REGION=us-east-1 DLQ=https://sqs.us-east-1.amazonaws.com/1/vestnik-prod-send-dlq
"""


@dataclass(frozen=True)
class Block:
    """What is pasted at once; `on_aws`: there is nothing on the embedded stack that it could run on."""

    text: str
    on_aws: bool


def sections() -> dict[str, list[Block]]:
    """Read the blocks of each runbook, by its title."""
    chapter = OPERATIONS.read_text().partition("\n## Runbooks\n")[2]
    parts = re.split(r"^### (.*)$", re.split(r"^## ", chapter, maxsplit=1, flags=re.MULTILINE)[0], flags=re.MULTILINE)
    titles = [PREFACE, *parts[1::2]]
    return {title: list(_blocks(text)) for title, text in zip(titles, parts[::2], strict=True)}


def _blocks(text: str) -> Iterator[Block]:
    for found in BLOCK.finditer(text):
        yield Block(textwrap.dedent(found["text"]), on_aws=found["on_aws"] is not None)


def copied_checkout(folder: Path) -> Path:
    """Copy what `make` needs into a folder, so that its `.local` is another's; the environment is shared."""
    checkout = folder / "checkout"
    checkout.mkdir()
    for name in WHAT_PROGRAMS_NEED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, checkout / name)
    for requirements in ROOT.glob("requirements*.txt"):
        os.utime(shutil.copy2(requirements, checkout), (0, 0))  # older than what is installed: make installs nothing
    (checkout / ".venv").symlink_to((ROOT / ".venv").resolve())
    return checkout


class Runbook:
    """One section, whose blocks are pasted one after the other into the same shell."""

    def __init__(self, title: str, checkout: Path) -> None:
        self._checkout = checkout
        self._preface = next(block.text for block in sections()[PREFACE] if not block.on_aws)
        self._blocks = sections()[title]
        self._state = checkout / "shell-state"
        self._state.write_text("")

    @contextmanager
    def followed(self) -> Iterator["Runbook"]:
        """Fail unless each block was pasted."""
        yield self
        assert not self._blocks, f"nobody has tried:\n{self._blocks[0].text}"

    def paste(self, **variables: str) -> str:
        """Paste the next block, with these variables set before; returns what it printed. It must succeed."""
        block = self._blocks.pop(0)
        assert not block.on_aws, block.text
        given = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
        keep = f"export -p | grep -v '^declare -[a-z]*r' > {self._state}\n"  # a shell's own cannot be set
        return self._bash(f"{self._preface}. {self._state}\n{given}{block.text}{keep}")

    def check(self) -> str:
        """Check the next block, which only AWS can run: its syntax, its commands and their options."""
        block = self._blocks.pop(0)
        assert block.on_aws, block.text
        return self._bash(f"PATH={self._checkout}/.venv/bin:$PATH\n{OFFLINE}{block.text}")

    def _bash(self, script: str) -> str:
        environ: dict[str, str] = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        done = subprocess.run(
            ["/bin/bash", "-aeuo", "pipefail", "-c", script],
            cwd=self._checkout,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )
        assert done.returncode == 0, f"{script}\nexit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout
