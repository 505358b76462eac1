"""What pages weigh, and what axe says of them: a row a page, out of what tests have recorded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Properties = Sequence[tuple[str, object]]  # of one test: "page", and "kb" and "requests", or "axe"


@dataclass
class Row:
    """A page: kilobytes that all its requests transferred, their number, and violations over all looks at it."""

    kb: float = 0
    requests: int = 0
    axe: int = 0


def table(recorded: Iterable[Properties]) -> list[str]:
    """Write a line a page, the order being that of the tests, and above them what the columns are."""
    rows: dict[str, Row] = {}
    for properties in recorded:
        found = dict(properties)
        if "page" not in found:
            continue
        row = rows.setdefault(str(found["page"]), Row())
        row.kb += float(str(found.get("kb", 0)))
        row.requests += int(str(found.get("requests", 0)))
        row.axe += int(str(found.get("axe", 0)))
    lines = [f"{row.kb:7.1f} {row.requests:9} {row.axe:15}  {page}" for page, row in rows.items()]
    return [f"{'KB':>7} {'requests':>9} {'axe violations':>15}  page", *lines] if lines else []
