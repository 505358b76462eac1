"""The audit trail: who changed or sent what, when, from what to what."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain.phone import mask

KEPT = timedelta(days=365)
_OURS = frozenset(
    {"id", "version", "updated_at", "sweep", "correlation_id"}
)  # change with every change and tell nothing

Changes = Mapping[str, tuple[str | None, str | None]]
"""By field what it was and what it became; None: there was or is none."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One attempt to change something.

    Attributes:
        id: a ULID, so entries sort by time.
        subject: who, by the issuer's name.
        via: `api` or `pages`.
        action: method and path, with names in the place of ids: `POST /mailings/{mailing_id}/start`.
        target: the id of what it was done to; None while that is not known.
        outcome: HTTP status of the answer; None: it was begun, and nobody knows what became of it.
        changes: what differed afterwards. Texts are told by hash and length, phones by their last digits.
        request_id: of the request, by which the log has it; None for entries of before it was kept.
    """

    id: str
    at: datetime
    subject: str
    via: str
    action: str
    target: str | None
    outcome: int | None
    changes: Changes
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are meant; None: any. `action` is a part of one."""

    subject: str | None = None
    target: str | None = None
    action: str | None = None


def differences(before: object | None, after: object | None) -> Changes:
    """Compare two states of a thing, of which one may be missing, field by field."""
    known = before if before is not None else after
    if not is_dataclass(known):
        raise TypeError("there is nothing to compare")
    found = {}
    for field in fields(known):
        was, became = (None if state is None else getattr(state, field.name) for state in (before, after))
        if field.name not in _OURS and was != became:
            found[field.name] = (_told(field.name, was), _told(field.name, became))
    return found


def _told(name: str, value: Any) -> str | None:  # noqa: ANN401 - any field of what is stored
    match value:
        case None:
            return None
        case str() if name == "text":
            return f"{len(value)} characters, SHA-256 {hashlib.sha256(value.encode()).hexdigest()[:16]}"
        case str() if name == "phone":
            return mask(value)
        case datetime():
            return value.isoformat()
        case _ if is_dataclass(value):
            return json.dumps({field.name: getattr(value, field.name) for field in fields(value)}, default=str)
        case _:
            return str(value)
