"""Read the journal of a mailing, a message, a client or a request out of what all functions logged."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.journal import FUNCTIONS, MILESTONE, Line, Subject
from chalicelib.errors import NotFoundError, TransientError
from chalicelib.ports import Clock, FunctionLogs

logger = logging.getLogger(__name__)

_ONE_MILLISECOND = timedelta(milliseconds=1)  # what the log tells moments apart by


@dataclass(frozen=True, slots=True)
class Journal:
    """What was found.

    Attributes:
        lines: in the order of time.
        next: where to go on reading; None if this was all.
        unfinished: functions whose log was not searched through in time.
        failed: functions whose log could not be read, and why.
        missing: functions that have no log.
    """

    lines: Sequence[Line]
    next: datetime | None
    unfinished: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    function: str
    lines: Sequence[Line] = ()
    unfinished: bool = False
    failure: str | None = None
    missing: bool = False


@dataclass(frozen=True, slots=True)
class ReadJournal:
    """The use case of those who ask what happened. The functions' logs are read all at once."""

    logs: FunctionLogs
    clock: Clock

    def __call__(
        self,
        subject: Subject,
        since: datetime,
        *,
        reads: bool = False,
        limit: int | None = None,
        within: timedelta | None = None,
    ) -> Journal:
        """Find the lines that name the subject; with those of a message the milestones of its mailing.

        Args:
            subject: whose lines.
            since: lines that arrived in the log before are left out.
            reads: tell of answered GET requests too; where the subject is a request, it may be one of them.
            limit: lines at most, but for those of the same millisecond; None: all.
            within: begin no further call of the log service after this time; None: whenever.
        """
        reads = reads or subject.is_request
        until = None if within is None else self.clock() + within

        def search(terms: Sequence[str], wanted: Callable[[Line], bool]) -> list[_Found]:
            def one(function: str) -> _Found:
                return self._search(
                    function, terms, since, lambda line: (reads or not line.is_only_read) and wanted(line), limit, until
                )

            with ThreadPoolExecutor(len(FUNCTIONS)) as pool:
                return list(pool.map(one, FUNCTIONS))

        found = search([subject.id], subject.is_in)
        if subject.kind == "message":
            named = {str(line.fields["mailing_id"]) for each in found for line in each.lines if _of_mailing(line)}
            for mailing in (Subject("mailing", id_) for id_ in sorted(named)):
                found += search([mailing.id, MILESTONE], mailing.has_milestone)
        return _journal(found, limit)

    def _search(
        self,
        function: str,
        terms: Sequence[str],
        since: datetime,
        wanted: Callable[[Line], bool],
        limit: int | None,
        until: datetime | None,
    ) -> _Found:
        lines: list[Line] = []
        try:
            pages = self.logs.pages(function, terms, since)
            while limit is None or len({line.received_at for line in lines}) <= limit:
                if until is not None and self.clock() >= until:
                    return _Found(function, lines, unfinished=True)
                page = next(pages, None)
                if page is None:
                    break
                lines += filter(wanted, page)
        except NotFoundError:
            return _Found(function, missing=True)
        except TransientError as error:
            logger.warning("log not read", extra={"function": function, "error": str(error)})
            return _Found(function, lines, failure=str(error))
        return _Found(function, lines)


def _of_mailing(line: Line) -> bool:
    return bool(line.fields.get("mailing_id"))


def _journal(found: Sequence[_Found], limit: int | None) -> Journal:
    arrived = sorted((line for each in found for line in each.lines), key=lambda line: line.received_at)
    lines, after = _cut(arrived, limit)
    return Journal(
        sorted(lines, key=lambda line: line.at),
        after,
        tuple(dict.fromkeys(each.function for each in found if each.unfinished)),
        tuple({each.function: each.failure for each in found if each.failure}.items()),
        tuple(dict.fromkeys(each.function for each in found if each.missing)),
    )


def _cut(arrived: Sequence[Line], limit: int | None) -> tuple[Sequence[Line], datetime | None]:
    """Keep the first lines, whole milliseconds of them: one goes on reading from the first that is left out."""
    if limit is None or len(arrived) <= limit:
        return arrived, None
    after = arrived[limit].received_at
    if after == arrived[0].received_at:  # more in one millisecond than are to be shown: all of it, or none came after
        after += _ONE_MILLISECOND
    kept = [line for line in arrived if line.received_at < after]
    return kept, after
