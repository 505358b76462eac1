"""A provider that accepts text messages on loopback, behaves as badly as told, and counts what reached it.

Addresses: `POST /v1/send/{msgId}` keeps the provider contract, `/_control` sets the behaviour, `/_received` tells what
came. `--help` describes them. Nothing is stored, nothing is sent to anybody.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from simulated_provider.application import SimulatedProvider
from simulated_provider.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop
except ImportError:  # not made for Windows
    from asyncio import new_event_loop

_BACKLOG = 1024

_HELP = """\
POST /v1/send/{msgId}   Authorization: Bearer <JWT>, {"id": int64, "phone": int64, "text": str}
                        200 {"code": 0, "message": "OK"}; 401 without a bearer token; 413 above 64 KiB;
                        400 for another shape or another id than in the address
POST /_control          sets the behaviour towards valid requests, replacing the one before; {} resets; GET reads it
    latency_ms          delay of each answer, milliseconds
    hang_s              further delay of each answer, seconds
    status              answer with this HTTP status (200 to 599)
    body                answer with this body: a string as it is, anything else as JSON
    retry_after         Retry-After of these answers unless 2xx: seconds, or a string such as an HTTP date
    drop                "before": reset the connection, the message is not accepted; "after" or true: accept it and
                        reset; "half": accept it, send half an answer and close. Wins over status and body
    drip_s              let the answer drip, bit by bit from its first byte to its last, over so many seconds
    error_rate          0 to 1: the share of requests that meets status, body, drop or drip_s (default: status 500);
                        the rest succeed
    seed                integer: makes that choice repeatable
GET /_received          counts, and the last requests, oldest first; ?limit=100 (to 100000), ?id= for one message;
                        of each also request_id, its X-Request-Id, and misbehaved: that its answer, by the
                        behaviour set, is no plain success in time
    requests            all of them, refused ones too
    unique, duplicates  of the ids of valid requests
    accepted            taken as sent, counted when the request is in: also if the connection breaks later;
                        accepted_unique and accepted_duplicates are of these
    first_at, last_at   when the last byte of the first and of the last request was in; null before
    in_flight           requests still without an answer; max_in_flight: most of them at once
DELETE /_received       clears

example:
    curl -d '{"status": 503, "retry_after": 2, "error_rate": 0.1}' http://127.0.0.1:PORT/_control

/_control and /_received ask for no token: keep the simulator on loopback.
"""


async def listen(provider: SimulatedProvider, connections: set[Connection], host: str, port: int) -> asyncio.Server:
    """Have the provider answer at an address, any free port with 0; `connections` holds the open ones.

    Raises:
        OSError: The address cannot be had.
    """
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(provider.answer, connections), host, port, backlog=_BACKLOG)


async def serve(server: asyncio.Server, connections: set[Connection]) -> None:
    """Announce the address in one line, then serve until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    told_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows, where Ctrl-C raises KeyboardInterrupt
            loop.add_signal_handler(number, told_to_end.set)
    bound_host, bound_port = server.sockets[0].getsockname()[:2]
    shown_host = f"[{bound_host}]" if ":" in bound_host else bound_host
    print(f"provider simulator at http://{shown_host}:{bound_port}", flush=True)
    await told_to_end.wait()
    server.close()
    for connection in tuple(connections):
        connection.abort()  # without waiting for hanging requests


def main() -> int:
    """Run the command; the exit code is 1 where the address cannot be used."""
    parser = argparse.ArgumentParser(
        prog="provider_simulator.py",
        description="A simulated provider of text messages, for tests.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port_number, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--token", type=_token, help="the one bearer token let in (default: any)")
    options = parser.parse_args()
    connections: set[Connection] = set()
    with asyncio.Runner(loop_factory=new_event_loop) as runner, suppress(KeyboardInterrupt):
        try:
            server = runner.run(listen(SimulatedProvider(options.token), connections, options.host, options.port))
        except OSError as error:
            # Not str(error): asyncio and uvloop word it differently. Name look-ups have negative numbers of their own.
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            print(f"provider simulator: cannot listen on {options.host}:{options.port}: {reason}", file=sys.stderr)
            return 1
        runner.run(serve(server, connections))
    return 0


def _port_number(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:  # noqa: PLR2004  TCP has no more
        raise argparse.ArgumentTypeError("must be 0 to 65535")
    return port


def _token(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


if __name__ == "__main__":
    sys.exit(main())
