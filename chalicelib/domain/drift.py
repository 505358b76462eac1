"""Drift: by how much the counters of a mailing differ from what its rows say.

What no row says cannot be recounted: the counters of errors (`error.…`), and those of single minutes.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from chalicelib.domain.message import Message, Status, counters_of

_STATUSES = frozenset(status.value for status in Status)
_STEMS = _STATUSES | {"attempts", "uncertain"}


@dataclass(frozen=True, slots=True)
class Census:
    """Rows added up, each read once and in any order.

    Attributes:
        counts: what the counters must be, by name.
        fingerprint: of each row's id and version. Two censuses of one process in which it is the same saw the same
            rows, and none of them was written in between; not to be stored, for another process hashes otherwise.
    """

    counts: Counter[str] = field(default_factory=Counter)
    fingerprint: int = 0

    @classmethod
    def of(cls, rows: Iterable[Message]) -> "Census":
        """Add rows up."""
        counts, fingerprint = Counter[str](), 0
        for row in rows:
            counts.update(counters_of(row))
            fingerprint += hash((row.id, row.version))
        return cls(counts, fingerprint)

    def __add__(self, other: "Census") -> "Census":
        return Census(self.counts + other.counts, self.fingerprint + other.fingerprint)


@dataclass(frozen=True, slots=True)
class ComparedCounter:
    """One counter: what it must be according to `rows`, and what was `counted`."""

    name: str
    rows: int
    counted: int

    @property
    def difference(self) -> int:
        """By how much it is too high."""
        return self.counted - self.rows


def compare(counts: Counter[str], census: Census) -> tuple[ComparedCounter, ...]:
    """Set each counter that rows can tell beside what they tell, in order of name; those that are zero are left out."""
    compared = (
        ComparedCounter(name, census.counts[name], counts[name])
        for name in sorted(counts.keys() | census.counts.keys())
        if name.partition(".")[0] in _STEMS
    )
    return tuple(counter for counter in compared if counter.rows or counter.counted)


def missing_rows(compared: Iterable[ComparedCounter]) -> int:
    """Tell how many more messages are counted than there are rows; negative if there are more rows."""
    return sum(counter.difference for counter in compared if counter.name in _STATUSES)
