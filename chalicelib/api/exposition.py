"""Figures as metrics of Prometheus: names, units and help; docs/OPERATIONS.md has the same list with more words."""

import platform
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import accumulate
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from chalicelib import __version__
from chalicelib.domain.breaker import Breaker, BreakerState, Cause
from chalicelib.domain.figures import Figures, MailingFigures, Record, Source, age
from chalicelib.domain.traffic import Traffic

Family = TypeVar("Family", GaugeMetricFamily, CounterMetricFamily)
Values = float | Mapping[str, float] | Mapping[tuple[str, str], float]


class _Figures(Collector):
    """The figures of one scrape."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        return families(self._figures)


def exposed(figures: Figures, accept: str) -> tuple[str, str]:
    """Write figures in the format that is asked for; returns the text and its content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(figures))
    encode, content_type = choose_encoder(accept)
    return encode(registry).decode(), content_type


def families(figures: Figures) -> Iterator[Metric]:
    """List the metrics of what is known."""
    build = {"version": __version__, "python_version": platform.python_version()}
    yield InfoMetricFamily("vestnik_build", "What runs.", build)
    yield from _of_scrape(figures)
    if figures.messages is not None:
        messages = {
            (mailing, status): number
            for mailing, counts in figures.messages.items()
            for status, number in counts.items()
        }
        help_ = "Messages by mailing and status: mailings that run, or ended within 24 hours; `other` is all the rest."
        yield _gauge("vestnik_messages", help_, messages, "mailing", "status")
    if figures.mailings is not None:
        yield from _of_mailings(figures.mailings, figures.at)
    if figures.planning is not None:
        segments = {"open": figures.planning.open, "done": figures.planning.done}
        yield _gauge("vestnik_planning_segments", "Segments of mailings that are being planned.", segments, "state")
    if figures.record is not None:
        yield from _of_traffic(figures.record.traffic)
        yield from _of_record(figures.record)
    if figures.breaker is not None:
        yield from _of_breaker(figures.breaker, figures.at)
    yield from _of_queues(figures)


def _of_scrape(figures: Figures) -> Iterator[Metric]:
    errors = figures.errors()
    yield _counter("vestnik_scrape_errors", "How often a source of these metrics could not be read.", errors, "source")
    readable = {source.value: source not in figures.unknown for source in Source}
    yield _gauge("vestnik_source_up", "Whether a source of these metrics could be read now.", readable, "source")


def _of_mailings(mailings: MailingFigures, now: datetime) -> Iterator[Metric]:
    states = {"running": mailings.running, "paused": mailings.paused}
    yield _gauge("vestnik_mailings", "Mailings that have started and not ended.", states, "status")
    yield _gauge("vestnik_overdue_mailings", "Mailings that should have started by now.", mailings.overdue)
    late = age(mailings.overdue_since, now).total_seconds()
    yield _gauge("vestnik_overdue_seconds", "How long ago the first of them should have started.", late)
    yield _gauge("vestnik_unplanned_mailings", "Mailings that run and are not planned yet.", mailings.unplanned)
    longest = age(mailings.unplanned_since, now).total_seconds()
    yield _gauge("vestnik_unplanned_seconds", "How long ago the first of them started.", longest)


def _of_traffic(traffic: Traffic) -> Iterator[Metric]:
    calls = HistogramMetricFamily("vestnik_provider_call_seconds", "How long calls of the provider took.")
    bounds = ("+Inf" if bound == float("inf") else f"{bound:g}" for bound in traffic.calls)
    calls.add_metric((), list(zip(bounds, accumulate(traffic.calls.values()), strict=True)), traffic.call_seconds)
    yield calls
    yield _counter(
        "vestnik_provider_answers", "Calls of the provider by how they ended.", traffic.answers, "kind", "code"
    )
    yield _counter("vestnik_attempts", "Attempts that were counted against messages.", traffic.attempts)
    yield _counter("vestnik_put_offs", "How often senders put a message off, by reason.", traffic.put_offs, "reason")


def _of_record(record: Record) -> Iterator[Metric]:
    if record.token_expires_at is not None:
        yield _moment("vestnik_provider_token_expiry", "When the provider's token ends.", record.token_expires_at)
    if record.watch is not None:
        yield _moment("vestnik_dispatcher_last_run", "When the dispatcher ran last.", record.watch.seen_at)
    if record.drift is not None:
        yield _moment("vestnik_drift_check", "When counters were last compared with rows.", record.drift.checked_at)
        off = "By how much counters were off, all in all, when they were last compared with rows."
        yield _gauge("vestnik_drift_messages", off, record.drift.drift)
        verdicts = record.drift.verdicts
        yield _gauge("vestnik_drift_check_mailings", "Mailings of the last check by verdict.", verdicts, "verdict")


def _of_breaker(breaker: Breaker, now: datetime) -> Iterator[Metric]:
    states = {state.value: state is breaker.state for state in BreakerState}
    yield _gauge("vestnik_breaker_state", "The state of the breaker before the provider is 1.", states, "state")
    causes = {cause.value: not breaker.is_closed and cause is breaker.cause for cause in Cause}
    yield _gauge("vestnik_breaker_open", "Why the breaker is not closed.", causes, "cause")
    open_for = age(None if breaker.is_closed else breaker.since, now).total_seconds()
    yield _gauge("vestnik_breaker_open_seconds", "How long ago the breaker opened; 0 if closed.", open_for)


def _of_queues(figures: Figures) -> Iterator[Metric]:
    if figures.queues is not None:
        tickets = {
            (queue, state): getattr(depth, state)
            for queue, depth in figures.queues.items()
            for state in ("visible", "delayed", "in_flight")
        }
        yield _gauge("vestnik_queue_tickets", "Tickets of a queue, approximately.", tickets, "queue", "state")
    ages = {queue: oldest.total_seconds() for queue, oldest in figures.queue_ages().items()}
    yield _gauge("vestnik_queue_age_seconds", "How old the oldest ticket of a queue is at most.", ages, "queue")
    if figures.dead_letters is not None:
        yield _gauge("vestnik_dead_letters", "Dead letters, approximately.", figures.dead_letters, "queue")
    since = {queue: oldest.total_seconds() for queue, oldest in figures.dead_letter_ages().items()}
    yield _gauge("vestnik_dead_letters_age_seconds", "How long a dead-letter queue has not been empty.", since, "queue")


def _gauge(name: str, documentation: str, values: Values, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(name, documentation, labels=labels), values)


def _counter(name: str, documentation: str, values: Values, *labels: str) -> Metric:
    return _filled(CounterMetricFamily(name, documentation, labels=labels), values)


def _moment(name: str, documentation: str, moment: datetime) -> Metric:
    return _gauge(f"{name}_timestamp_seconds", documentation, moment.timestamp())


def _filled(family: Family, values: Values) -> Family:
    for labels, value in values.items() if isinstance(values, Mapping) else [((), values)]:
        family.add_metric((labels,) if isinstance(labels, str) else labels, value)
    return family
