"""Loops that run side by side until the process is told to stop."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

TOUCH_SECONDS = 1

logger = logging.getLogger(__name__)

Loop = Callable[[threading.Event], None]
"""Does its work again and again until the event is set; what it is about then, it may finish."""


def supervise(loops: Sequence[Loop], *, stop_seconds: float, alive_file: Path | None = None) -> int:
    """Run the loops, each in a thread, until SIGTERM or SIGINT; then they have so many seconds to end.

    While all of them run, `alive_file` is touched each second.

    Returns:
        What the process should end with: 0, or 1 if a loop broke down or did not end in time.
    """
    stopping, broken = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())

    def run(loop: Loop) -> None:
        try:
            loop(stopping)
        except Exception:
            logger.exception("loop broke down")
            broken.set()
            stopping.set()

    threads = [threading.Thread(target=run, args=(loop,), daemon=True) for loop in loops]
    for thread in threads:
        thread.start()
    logger.info("host started", extra={"loops": len(threads)})
    while not stopping.wait(TOUCH_SECONDS):
        if alive_file:
            alive_file.touch()
    deadline = time.monotonic() + stop_seconds
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    late = sum(thread.is_alive() for thread in threads)
    logger.info("host stopped", extra={"unfinished": late})
    return int(broken.is_set() or late > 0)
