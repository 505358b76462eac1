"""The inside of a function's process: `python -m infra.host.runtime FUNCTION DESCRIPTOR`.

An event a line comes in by stdin, an answer a line goes out by the descriptor; stdout is for what the handler says.
When stdin ends, the supervisor is gone, and so is this process at once, whatever it is about: its tickets come again.
"""

import importlib
import json
import os
import queue
import signal
import sys
import threading
from typing import Any, BinaryIO

from chalicelib.observability import logger
from infra.host.context import Context
from infra.host.functions import functions


def main() -> None:
    """Answer events with what the handler returns, one after the other."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # they are for the supervisor, which lets a call end
    function = functions()[sys.argv[1]]
    handler = getattr(importlib.import_module("app"), function.handler)
    events = queue.SimpleQueue[Any]()
    with os.fdopen(int(sys.argv[2]), "wb") as answers:
        threading.Thread(target=_read, args=(sys.stdin.buffer, events), daemon=True).start()
        _say(answers, {})
        while True:
            event = events.get()
            try:
                answer = {"returned": handler(event, Context.begin(function))}
            except Exception as error:  # noqa: BLE001 - a call's boundary, as Lambda is: it says so, and goes on
                logger.exception("function failed", extra={"function": function.name})
                answer = {"error": f"{type(error).__name__}: {error}"}
            _say(answers, answer)


def _read(lines: BinaryIO, events: "queue.SimpleQueue[Any]") -> None:
    for line in lines:
        events.put(json.loads(line))
    os._exit(0)


def _say(answers: BinaryIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
