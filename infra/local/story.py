"""The story of one mailing, message or client, told by the lines that name it."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from stack_logs import FUNCTIONS, Line, StackLogs

NOT_SHOWN = frozenset(
    {
        *("timestamp", "level", "message"),  # stand in columns of their own
        *("location", "service", "request_id", "xray_trace_id"),
        *("exception_name", "stack_trace"),  # `exception` says the same
    }
)
FIRST_ERROR_STATUS = 400


@dataclass(frozen=True)
class Subject:
    """Whose story it is: `kind` is mailing, message or client."""

    kind: str
    id: str

    def is_in(self, line: Line) -> bool:
        """Tell whether the line names it as what it is, alone or in a list."""
        several = line.fields.get(f"{self.kind}_ids")
        named = [line.fields.get(f"{self.kind}_id"), *(several if isinstance(several, list) else [])]
        return self.id in map(str, named)  # of a request's path, a message's id is text; everywhere else a number


def story(logs: StackLogs, subject: Subject, *, since: datetime, reads: bool = False) -> list[Line]:
    """Return the subject's lines in the order of time; a message's with the milestones of its mailing.

    Milestones are lines that name the mailing and begin with the word "mailing". `reads` are answered GET requests.
    """
    lines = [line for line in logs.lines(subject.id, since=since) if subject.is_in(line)]
    if subject.kind == "message":
        for mailing_id in {str(line.fields["mailing_id"]) for line in lines if line.fields.get("mailing_id")}:
            mailing, milestones = Subject("mailing", mailing_id), logs.lines(mailing_id, "mailing ", since=since)
            lines += [line for line in milestones if line.message.startswith("mailing ") and mailing.is_in(line)]
    return sorted((line for line in lines if reads or not _only_reads(line)), key=lambda line: line.at)


def table(lines: Sequence[Line]) -> Iterator[str]:
    """Yield one line of text for each: time in UTC, function, level unless INFO, message, fields."""
    heads = [_head(line) for line in lines]
    function_width, head_width = max(map(len, FUNCTIONS)), max(map(len, heads), default=0)
    for line, head in zip(lines, heads, strict=True):
        at = line.at.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
        shown = (
            f"{name}={_shown(value)}"
            for name, value in line.fields.items()
            if name not in NOT_SHOWN and value is not None
        )
        yield f"{at}  {line.function:<{function_width}}  {head:<{head_width}}  {' '.join(shown)}".rstrip()


def _head(line: Line) -> str:
    level = str(line.fields.get("level", "INFO"))
    said = line.message if line.message.isprintable() else json.dumps(line.message)
    return said if level == "INFO" else f"{level} {said}"


def _shown(value: object) -> str:
    """Show a value within one line: a traceback by its end, and quoted what could be taken for two fields."""
    if isinstance(value, str):
        value = (value.splitlines() or [""])[-1]
        if value.isprintable() and not re.search(r'^$|[\s"=]', value):
            return value
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isprintable() else json.dumps(value, separators=(",", ":"))


def _only_reads(line: Line) -> bool:
    status = line.fields.get("status")
    return line.fields.get("method") == "GET" and isinstance(status, int) and status < FIRST_ERROR_STATUS
