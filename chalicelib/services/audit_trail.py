"""The audit trail is written around each change: an entry before it, and what became of it afterwards.

So no change is without its entry: where the entry cannot be stored, nothing is done. Whoever is killed in between
leaves an entry without an outcome, which says that the change may have happened. What it was about, use cases tell: by
`changed`, where they know both states, else by `did`; outside of an audited change both do nothing.
"""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TypeVar

from chalicelib.correlation import current_correlation_id
from chalicelib.domain.audit import AuditEntry, AuditFilter, Changes, differences
from chalicelib.errors import TransientError
from chalicelib.ports import AuditTrail, Clock, NewId, Page

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(slots=True)
class _Told:
    target: str | None
    changes: dict[str, tuple[str | None, str | None]]


_telling: ContextVar[_Told | None] = ContextVar("telling", default=None)


def changed(target: str, before: object | None, after: object | None) -> None:
    """Tell what a change was about: both states, of which one may be missing."""
    told = _telling.get()
    if told is not None:
        told.target = told.target or target
        told.changes.update(differences(before, after))


def did(target: str, **facts: object) -> None:
    """Tell what came of something that has no two states to compare, by name; neither texts nor phones."""
    told = _telling.get()
    if told is not None:
        told.target = told.target or target
        told.changes.update({name: (None, str(fact)) for name, fact in facts.items()})


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody is about to do; see `AuditEntry`."""

    subject: str
    via: str
    action: str
    target: str | None


@dataclass(frozen=True, slots=True)
class Audit:
    """Writes and reads the audit trail."""

    trail: AuditTrail
    clock: Clock
    new_id: NewId

    def around(self, deed: Deed, do: Callable[[], Result], outcome_of: Callable[[Result], int]) -> Result:
        """Do something, with its entry before and its outcome after.

        Args:
            deed: what and by whom.
            do: does it; whatever it raises leaves an entry without an outcome.
            outcome_of: reads the outcome out of what it returns.

        Raises:
            TransientError: the entry cannot be stored; nothing was done.
        """
        no_changes: Changes = {}
        entry = AuditEntry(
            self.new_id(),
            self.clock(),
            deed.subject,
            deed.via,
            deed.action,
            deed.target,
            outcome=None,
            changes=no_changes,
            request_id=current_correlation_id(),
        )
        self.trail.save(entry)
        told = _Told(deed.target, {})
        token = _telling.set(told)
        try:
            result = do()
        finally:
            _telling.reset(token)
        try:
            self.trail.save(replace(entry, target=told.target, outcome=outcome_of(result), changes=told.changes))
        except TransientError as error:
            # It is done: to answer that it failed would be wrong. The entry stands, without its outcome.
            logger.warning("an audit entry has no outcome", extra={"entry": entry.id, "error": str(error)})
        return result

    def page(self, meant: AuditFilter, after: str | None, limit: int) -> Page[AuditEntry]:
        """List entries, newest first; `next` is the `after` to go on with."""
        return self.trail.page(meant, self.clock(), after, limit)
