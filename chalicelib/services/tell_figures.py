"""The dispatcher's minute tells the figures as metrics, and keeps what the next minute and `/metrics` need of it."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from chalicelib.domain.figures import ERROR, Figures, Source, age
from chalicelib.domain.message import Status
from chalicelib.domain.traffic import Traffic
from chalicelib.errors import TransientError
from chalicelib.ports import FigureRepository
from chalicelib.services.read_figures import ReadFigures

logger = logging.getLogger(__name__)

Values = dict[str, float]
Dimensions = dict[str, str]


class Measure(Protocol):
    """Tells metrics of some dimensions."""

    def __call__(self, values: Mapping[str, float], **dimensions: str) -> None:
        """Tell them."""
        ...


@dataclass(frozen=True, slots=True)
class TellFigures:
    """How it stands, and what was counted since the minute before; nothing of single mailings.

    Metrics of a dimension are told only where there is something to tell: each costs, hour by hour.
    """

    read: ReadFigures
    figures: FigureRepository
    measure: Measure

    def __call__(self) -> None:
        """Read, tell, keep. Never raises: what is unknown is not told."""
        figures = self.read()
        told = [(standing(figures), Dimensions()), *standing_by(figures)]
        if self._kept(figures):
            told += counted(figures)
        for values, dimensions in told:
            if not dimensions or any(values.values()):
                self.measure(values, **dimensions)

    def _kept(self, figures: Figures) -> bool:
        """Store what the next minute starts from; if that fails, it tells what was counted in this one, too."""
        watch = figures.watched()
        if watch is None:
            return False
        try:
            self.figures.save_watch(watch)
        except TransientError as error:
            logger.warning("minute not kept", extra={"error": str(error)})
            return False
        return True


def standing(figures: Figures) -> Values:
    """Say how it stands, all in all."""
    values: Values = {"DispatcherMinutes": 1}
    if (mailings := figures.mailings) is not None:
        values["RunningMailings"] = mailings.running
        values["OverdueSeconds"] = age(mailings.overdue_since, figures.at).total_seconds()
        values["UnplannedSeconds"] = age(mailings.unplanned_since, figures.at).total_seconds()
    if figures.planning is not None:
        values["OpenSegments"] = figures.planning.open
    if (breaker := figures.breaker) is not None:
        open_since = None if breaker.is_closed else breaker.since
        values["BreakerOpenSeconds"] = age(open_since, figures.at).total_seconds()
    if (record := figures.record) is not None:
        if record.token_expires_at is not None:
            values["TokenExpiresInSeconds"] = (record.token_expires_at - figures.at).total_seconds()
        if record.drift is not None:
            values["DriftAtLastCheck"] = record.drift.drift
            values["DriftCheckAgeSeconds"] = age(record.drift.checked_at, figures.at).total_seconds()
    return values


def standing_by(figures: Figures) -> Iterator[tuple[Values, Dimensions]]:
    """Say how it stands by queue, by status of messages, and by source of these figures."""
    ages, letter_ages = figures.queue_ages(), figures.dead_letter_ages()
    for queue, depth in (figures.queues or {}).items():
        values = {"Tickets": float(depth.visible + depth.delayed)}
        yield values | _seconds("TicketAgeSeconds", ages.get(queue)), {"queue": queue}
    for queue, letters in (figures.dead_letters or {}).items():
        yield {"DeadLetters": letters} | _seconds("DeadLetterAgeSeconds", letter_ages.get(queue)), {"queue": queue}
    for status in Status if figures.messages is not None else ():
        total = sum(counts[status.value] for counts in (figures.messages or {}).values())
        yield {"Messages": total}, {"status": status.value}


def counted(figures: Figures) -> Iterator[tuple[Values, Dimensions]]:
    """Say what was counted since the dispatcher's latest minute."""
    changes = figures.since_told()
    traffic = Traffic.of(changes)
    calls = sum(traffic.calls.values())
    if calls:
        yield {"ProviderCalls": calls, "ProviderCallSeconds": traffic.call_seconds / calls}, {}
    yield {"Attempts": traffic.attempts}, {}
    for kind, answers in traffic.answers_by_kind.items():
        yield {"ProviderAnswers": answers}, {"kind": kind}
    for reason, put_offs in traffic.put_offs.items():
        yield {"PutOffs": put_offs}, {"reason": reason}
    for source in Source:
        yield {"ScrapeErrors": changes[f"{ERROR}{source.value}"]}, {"source": source.value}


def _seconds(name: str, time: timedelta | None) -> Values:
    return {} if time is None else {name: time.total_seconds()}
