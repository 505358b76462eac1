"""A server that does what no decent one does: each connection is in the hands of a test's function."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Script = Callable[[socket.socket], None]


class RawServer:
    """Where it listens, and how many connections there were."""

    def __init__(self, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self.connections = 0
        self.url = f"http://127.0.0.1:{self.port}"


@contextmanager
def raw_server(script: Script) -> Iterator[RawServer]:
    """Run `script` for each connection, in a thread of its own; a connection is closed when its script is over."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = RawServer(listener)
        connections: list[socket.socket] = []

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                script(connection)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                server.connections += 1
                connections.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for connection in connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def read_request(connection: socket.socket) -> bytes:
    """Read one request whole; nothing if the other side is gone."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            return b""
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    length = next(lengths, 0)  # a GET has none
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def reset(connection: socket.socket) -> None:
    """End a connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()
