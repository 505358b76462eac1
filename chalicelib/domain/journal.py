"""The journal: lines that functions logged, and whether they speak of a mailing, a message, a client or a request."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.correlation import CORRELATION_ID

FUNCTIONS = ("api", "planner", "plan-segment", "sender", "importer", "dispatcher", "drift-check", "daily-report")
MILESTONE = "mailing "  # with which the messages of a mailing's milestones begin
_NOT_SHOWN = frozenset(
    {
        *("timestamp", "level", "message"),  # shown apart
        *("location", "service", "xray_trace_id"),
        *("exception_name", "stack_trace"),  # `exception` says the same
    }
)
_FIRST_ERROR_STATUS = 400


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is a JSON object.

    Attributes:
        at: when it was logged.
        received_at: when it arrived in the log: maybe as late as its invocation's end.
        function: one of `FUNCTIONS`.
        raw: the line as it was logged; `fields`, as it reads.
    """

    at: datetime
    received_at: datetime
    function: str
    raw: str
    fields: Mapping[str, Any]

    @property
    def message(self) -> str:
        """The constant text that says what happened."""
        return str(self.fields.get("message", ""))

    @property
    def level(self) -> str:
        """How bad it is: `INFO`, `WARNING`, `ERROR`."""
        return str(self.fields.get("level", "INFO"))

    @property
    def is_only_read(self) -> bool:
        """Tell whether it is of a GET request that was answered."""
        status = self.fields.get("status")
        return self.fields.get("method") == "GET" and isinstance(status, int) and status < _FIRST_ERROR_STATUS

    def shown(self) -> Iterator[tuple[str, str]]:
        """Yield name and value of what it tells beside its message, each value within one line."""
        for name, value in self.fields.items():
            if name not in _NOT_SHOWN and value is not None:
                yield name, _shown(value)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose journal it is: `kind` is mailing, message, client or request."""

    kind: str
    id: str

    @property
    def is_request(self) -> bool:
        """Tell whether it is a request to the API, with all that came of it."""
        return self.kind == "request"

    def is_in(self, line: Line) -> bool:
        """Tell whether the line names it as what it is, alone or in a list."""
        field = CORRELATION_ID if self.is_request else f"{self.kind}_id"
        several = line.fields.get(f"{field}s")
        named = [line.fields.get(field), *(several if isinstance(several, list) else [])]
        return self.id in map(str, named)  # of a request's path, a message's id is text; everywhere else a number

    def has_milestone(self, line: Line) -> bool:
        """Tell whether the line is a milestone of this mailing."""
        return line.message.startswith(MILESTONE) and self.is_in(line)


def _shown(value: object) -> str:
    """Show a value within one line: a traceback by its end, and quoted what could be taken for two fields."""
    if isinstance(value, str):
        value = (value.splitlines() or [""])[-1]
        if value.isprintable() and not re.search(r'^$|[\s"=]', value):
            return value
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isprintable() else json.dumps(value, separators=(",", ":"))
