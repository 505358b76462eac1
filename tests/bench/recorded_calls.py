"""What Lambda workers asked of AWS, as `hook/sitecustomize.py` has recorded it."""

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HOOK = Path(__file__).with_name("hook")

EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One request to AWS. `at`: when it was answered; `status`: None if it never was.

    `request` and `answer` are DynamoDB's own JSON; empty of other services, `answer` also of calls without one.
    """

    function: str
    service: str
    operation: str
    at: datetime = EPOCH
    status: int | None = 200
    request_bytes: int = 0
    peak_kib: int = 0
    cpu_s: float = 0.0
    process: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> str | None:
        """The code of what AWS refused: `TransactionCanceledException` and the like."""
        kind = str(self.answer.get("__type", ""))
        return kind.rpartition("#")[2] or None


def recording(folder: Path) -> dict[str, str]:
    """Return what the emulator's environment must have for its workers to record into this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return {"PYTHONPATH": str(HOOK), "BENCH_CALLS": str(folder.resolve())}


def recorded_calls(folder: Path) -> Iterator[RecordedCall]:
    """Yield the calls of all workers in the order of their answers, those of one worker as it wrote them."""
    return heapq.merge(*map(_calls_of, sorted(folder.glob("*.jsonl"))), key=lambda call: call.at)


def _calls_of(file: Path) -> Iterator[RecordedCall]:
    with file.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                return  # its worker is writing it, or was killed at that
            fields = json.loads(line)
            fields["at"] = datetime.fromtimestamp(fields["at"], UTC)
            fields["answer"] = fields.get("answer") or {}
            yield RecordedCall(**fields, process=file.stem)
