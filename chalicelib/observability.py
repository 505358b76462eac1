"""Logs and metrics, in the shapes that CloudWatch reads.

Services and adapters log through stdlib `logging`, with ids as `extra`; the lines of every logger below
`chalicelib` leave in the JSON shape of the Powertools Logger, and carry the ids of the work at hand (`correlation`).
"""

import logging
from collections.abc import Mapping

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from chalicelib.correlation import ids_at_hand

SERVICE = "vestnik"
NAMESPACE = "Vestnik"

# Messages are text: Powertools would try to read each as JSON first.
logger = Logger(service=SERVICE, level="INFO", utc=True, use_rfc3339=True, json_deserializer=str)


def _with_ids(record: logging.LogRecord) -> bool:
    """Add the ids of the work at hand to a line that does not name them itself."""
    for name, id_ in ids_at_hand().items():
        record.__dict__.setdefault(name, id_)
    return True


logger.logger_handler.addFilter(_with_ids)


def configure(level: str) -> None:
    """Give Vestnik's lines their level, and those of `chalicelib` the Logger's shape. Idempotent.

    They do not also go to the root logger: Lambda prints whatever arrives there, in a shape of its own.
    """
    logger.setLevel(level)
    package = logging.getLogger("chalicelib")
    package.handlers = [logger.logger_handler]
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
