"""Calls of a function, several at once, each in a process of its own."""

import logging
import threading
from collections.abc import Callable
from queue import LifoQueue

from infra.host.function_process import CallError, FunctionProcess
from infra.host.functions import Function
from infra.host.log_shipping import TakeLine

logger = logging.getLogger(__name__)

Call = Callable[[object], object]
"""Calls the function with an event; returns what it returns, or raises CallError."""


class Calls:
    """Does work that calls a function; what is called last is called first again, so that little work stays warm."""

    def __init__(self, function: Function, at_once: int, take_line: TakeLine) -> None:
        self._function = function
        self._processes = [FunctionProcess(function, take_line) for _ in range(at_once)]
        self._idle = LifoQueue[FunctionProcess]()
        for process in self._processes:
            self._idle.put(process)
        self._at_once = at_once
        self._begun = 0
        self._changed = threading.Condition()

    def wait_for_room(self, seconds: float) -> bool:
        """Tell whether work that is begun next would be done at once; waits so long for it."""
        with self._changed:
            return self._changed.wait_for(lambda: self._begun < self._at_once, seconds)

    def begin(self, work: Callable[[Call], None]) -> None:
        """Have the work done in a thread, as soon as there is room; it makes one call or more.

        What it raises is logged: a failed call, and whatever it did not expect.
        """
        with self._changed:
            self._begun += 1
        # A daemon, which unlike those of an executor keeps no supervisor from ending that has waited long enough.
        threading.Thread(target=self._do, args=(work,), daemon=True).start()

    def end(self) -> None:
        """Wait until all work is done, and end the processes."""
        with self._changed:
            self._changed.wait_for(lambda: self._begun == 0)
        for process in self._processes:
            process.end()

    def _do(self, work: Callable[[Call], None]) -> None:
        process = self._idle.get()
        try:
            work(process.call)
        except CallError as error:
            extra = {"function": self._function.name, "error": str(error)}
            logger.error("call failed", extra=extra)  # noqa: TRY400 - it says all
        except Exception:
            logger.exception("work not done", extra={"function": self._function.name})
        finally:
            self._idle.put(process)
            with self._changed:
                self._begun -= 1
                self._changed.notify_all()
