"""An import of a large file over the API: how long it takes, and what memory the importer needs for it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import requests

from tests.running_stack import RunningStack, poll

BAD_EVERY = 1000  # one row of so many has no phone
DEADLINE_SECONDS = 1800
UPLOAD_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Importing:
    """One import of `rows` rows: seconds from the upload to its end, and the importer's peak in megabytes."""

    rows: int
    created: int
    unchanged: int
    refused: int
    seconds: float
    peak_mb: float

    @property
    def is_right(self) -> bool:
        """Tell whether all rows were taken but those that are bad."""
        return (self.created + self.unchanged, self.refused) == (self.rows - self.bad, self.bad)

    @property
    def bad(self) -> int:
        """How many rows are bad."""
        return -(-self.rows // BAD_EVERY)


def import_twice(stack: RunningStack, rows: int) -> list[Importing]:
    """Import so many clients, and then the same file once more, of which everything is there already."""
    return [_import(stack, rows) for _ in range(2)]


def _import(stack: RunningStack, rows: int) -> Importing:
    created = stack.request("POST", "/clients/imports").json()
    form = created["upload"]
    files = {"file": "".join(_lines(rows)).encode()}
    requests.post(form["url"], data=form["fields"], files=files, timeout=UPLOAD_SECONDS).raise_for_status()
    began = time.monotonic()
    shown = poll(
        lambda: stack.request("GET", f"/clients/imports/{created['id']}?limit=1").json(),
        until=lambda shown: shown["finished_at"] is not None,
        deadline_seconds=DEADLINE_SECONDS,
    )
    seconds = time.monotonic() - began
    done = shown["progress"]
    assert shown["failure"] is None, shown["failure"]
    peak = stack.peak_mb("importer")
    return Importing(done["rows"], done["created"], done["unchanged"], done["refused"], seconds, peak)


def _lines(rows: int) -> Iterator[str]:
    yield "phone,timezone,tag\n"
    for index in range(rows):
        yield f"{'' if index % BAD_EVERY == 0 else 79_000_000_000 + index},Asia/Yekaterinburg,imported\n"
