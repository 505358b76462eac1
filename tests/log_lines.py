"""What our own package logs, whoever has configured logging in this process before."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)  # makes `message`
        self.lines.append(record)


@contextmanager
def log_lines(level: int = logging.INFO) -> Iterator[list[logging.LogRecord]]:
    """Collect the lines of at least this level while the block runs."""
    package, collector = logging.getLogger("chalicelib"), _Collector()
    before = package.level
    package.addHandler(collector)
    package.setLevel(level)
    try:
        yield collector.lines
    finally:
        package.setLevel(before)
        package.removeHandler(collector)
