"""Look at ports and addresses on loopback."""

import http.client
import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from local_error import LocalError
from sessions import HOST

POLL_SECONDS = 0.05


def is_port_free(port: int) -> bool:
    """Tell whether nobody listens on the port of this host."""
    with socket.socket() as caller:
        caller.settimeout(1)
        if caller.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that nobody uses at this moment."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def status_of(url: str, *, timeout_seconds: float = 10) -> int | None:
    """GET the http address, by no proxy; return the status, or None where nobody answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout_seconds)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def end_of(log: Path, lines: int = 5) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def wait_until(ready: Callable[[], bool], what: str, *, deadline_seconds: float, log: Path) -> None:
    """Poll until it is so.

    Raises:
        LocalError: it is not so in time; the message names what was waited for, and ends with the log's end.
    """
    deadline = time.monotonic() + deadline_seconds
    while not ready():
        if time.monotonic() > deadline:
            raise LocalError(f"{what}: not within {deadline_seconds:g} s\n{end_of(log)}")
        time.sleep(POLL_SECONDS)
