"""Logs and metrics, in the shapes that CloudWatch reads.

Services and adapters log through stdlib `logging`, with ids as `extra`; the lines of every logger below
`chalicelib` leave in the JSON shape of the Powertools Logger, and carry the ids of the work at hand (`correlation`).
"""

import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from chalicelib.correlation import ids_at_hand

SERVICE = "vestnik"
NAMESPACE = "Vestnik"

GATHERED_SECONDS = 0.1


class Lines(logging.StreamHandler[TextIO]):
    """Writes each line at once; while work is `gathering` them, those of a tenth of a second in one piece.

    Each write lets another thread run, lets those that have a line wait meanwhile, and wakes whoever reads.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._gathering = 0
        self._gathered: list[str] = []
        self._latest: logging.LogRecord | None = None
        self._written_at = 0.0

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Gather the lines of all threads; what waits is written with a later line, by `pass_on`, or behind the block.

        A warning waits for nothing: it may be the last word of its process.
        """
        with self._alone():
            self._gathering += 1
        try:
            yield
        finally:
            with self._alone():
                self._gathering -= 1
            self.pass_on()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or keep it for a moment."""
        if not self._gathering or record.levelno >= logging.WARNING:
            self.pass_on()
            super().emit(record)
            return
        try:
            self._gathered.append(self.format(record) + self.terminator)
        except Exception:  # noqa: BLE001 - as in every handler: no work fails because of its log
            self.handleError(record)
            return
        self._latest = record
        if time.monotonic() - self._written_at >= GATHERED_SECONDS:
            self.pass_on()

    def pass_on(self) -> None:
        """Write what waits. Never raises: whoever is about to record what was sent goes on without a log."""
        with self._alone():
            if not self._gathered or self._latest is None:
                return
            gathered, self._gathered = self._gathered, []
            self._written_at = time.monotonic()
            try:
                self.stream.write("".join(gathered))
                self.stream.flush()
            except Exception:  # noqa: BLE001 - as in every handler
                self.handleError(self._latest)

    def flush(self) -> None:
        """Write what waits, and what the stream holds back: at the end of the process."""
        self.pass_on()
        super().flush()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()


lines = Lines(sys.stdout)
# Messages are text: Powertools would try to read each as JSON first.
logger = Logger(service=SERVICE, level="INFO", utc=True, use_rfc3339=True, json_deserializer=str, logger_handler=lines)


def _with_ids(record: logging.LogRecord) -> bool:
    """Add the ids of the work at hand to a line that does not name them itself."""
    for name, id_ in ids_at_hand().items():
        record.__dict__.setdefault(name, id_)
    return True


lines.addFilter(_with_ids)


def configure(level: str) -> None:
    """Give Vestnik's lines their level, and those of `chalicelib` the Logger's shape. Idempotent.

    They do not also go to the root logger: Lambda prints whatever arrives there, in a shape of its own.
    """
    logger.setLevel(level)
    package = logging.getLogger("chalicelib")
    package.handlers = [lines]
    package.setLevel(level)
    package.propagate = False


configure("INFO")  # until the settings are read, or if they do not parse


def count(name: str, value: int = 1) -> None:
    """Count events as a metric, at once: a line in the Embedded Metric Format, from any thread."""
    with single_metric(name=name, unit=MetricUnit.Count, value=value, namespace=NAMESPACE) as metric:
        metric.add_dimension(name="service", value=SERVICE)


def measure(values: Mapping[str, float], **dimensions: str) -> None:
    """Tell metrics of these dimensions, in one line of the same format; those in seconds are named so."""
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
    for name, of in dimensions.items():
        metrics.add_dimension(name=name, value=of)
    for name, value in values.items():
        metrics.add_metric(name, MetricUnit.Seconds if name.endswith("Seconds") else MetricUnit.Count, value)
    metrics.flush_metrics()
