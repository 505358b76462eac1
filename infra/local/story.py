"""A journal as text."""

import json
from collections.abc import Iterator, Sequence

from chalicelib.domain.journal import FUNCTIONS, Line


def table(lines: Sequence[Line]) -> Iterator[str]:
    """Yield one line of text for each: time in UTC, function, level unless INFO, message, fields."""
    heads = [_head(line) for line in lines]
    function_width, head_width = max(map(len, FUNCTIONS)), max(map(len, heads), default=0)
    for line, head in zip(lines, heads, strict=True):
        at = line.at.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
        shown = " ".join(f"{name}={value}" for name, value in line.shown())
        yield f"{at}  {line.function:<{function_width}}  {head:<{head_width}}  {shown}".rstrip()


def _head(line: Line) -> str:
    said = line.message if line.message.isprintable() else json.dumps(line.message)
    return said if line.level == "INFO" else f"{line.level} {said}"
