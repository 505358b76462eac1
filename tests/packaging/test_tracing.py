"""Traces as the X-Ray daemon gets them, from the package as it is deployed."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.settings import ENVIRONMENT
from tests.unpacked import run_unpacked

TRACE, PARENT = "1-67891233-abcdef012345678912345678", "463ac35c9f6413ad"
MAILING, MESSAGE, PHONE, TEXT = "01M83JE3427E3MCK0QZRJNQ9ET", 4_503_599_627_370_496, "79161234567", "Spring sale"
# One call of AWS and one of the provider, as a sender's thread makes them. Nothing listens at either address.
WORK = f"""
import json, sys
sys.path.insert(0, sys.argv[1])
from concurrent.futures import ThreadPoolExecutor
from chalicelib.bootstrap import application
from chalicelib.correlation import correlated
from chalicelib.errors import TransientError
class Token:
    def current(self):
        return "token-of-the-provider"
def work():
    with correlated("abc", mailing_id="{MAILING}", message_id={MESSAGE}):
        try:
            built.messages.get_many([{MESSAGE}])
        except TransientError:
            pass
        return built.provider.send({MESSAGE}, "{PHONE}", "{TEXT}", 5).kind.value
built = application()
built.provider._token = Token()
with ThreadPoolExecutor(1) as pool:
    answer = pool.submit(work).result()
print(json.dumps({{"answer": answer, "traced": "aws_xray_sdk" in sys.modules}}))
"""


@contextmanager
def daemon() -> Iterator[socket.socket]:
    """Listen as the X-Ray daemon does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def documents(listener: socket.socket) -> list[dict[str, Any]]:
    """Read what has arrived: the header of each datagram is a line of its own."""
    listener.setblocking(False)  # noqa: FBT003 - the name of the method says what
    found = []
    while True:
        try:
            found.append(json.loads(listener.recv(65_536).partition(b"\n")[2]))
        except BlockingIOError:
            return found


def work(unpacked: Path, listener: socket.socket, tracing: str) -> Any:  # noqa: ANN401 - JSON
    port = closed_port()
    environ = ENVIRONMENT | {
        "TRACING": tracing,
        "PROVIDER_URL": f"http://127.0.0.1:{port}",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_MAX_ATTEMPTS": "1",
        "LAMBDA_TASK_ROOT": str(unpacked),
        "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{listener.getsockname()[1]}",
        "_X_AMZN_TRACE_ID": f"Root={TRACE};Parent={PARENT};Sampled=1",
    }
    return run_unpacked(unpacked, WORK, environ=environ)


def test_calls_of_aws_and_of_the_provider_are_traced_with_the_ids_of_the_work(unpacked: Path) -> None:
    with daemon() as listener:
        done = work(unpacked, listener, "Active")
        traced = {document["name"]: document for document in documents(listener)}

    assert done == {"answer": "unreachable", "traced": True}
    assert {"dynamodb", "provider"} <= traced.keys()
    for name, namespace in (("dynamodb", "aws"), ("provider", "remote")):
        document = traced[name]
        assert (document["trace_id"], document["parent_id"]) == (TRACE, PARENT)
        assert (document["type"], document["namespace"]) == ("subsegment", namespace)
        assert document["annotations"] == {"correlation_id": "abc", "mailing_id": MAILING, "message_id": MESSAGE}
    assert traced["dynamodb"]["aws"]["operation"] == "BatchGetItem"
    sent = json.dumps(list(traced.values()))
    assert not [secret for secret in (PHONE, TEXT, "token-of-the-provider") if secret in sent]


@pytest.mark.parametrize("tracing", ["", "PassThrough"])
def test_where_tracing_is_off_nothing_of_it_is_loaded_or_sent(unpacked: Path, tracing: str) -> None:
    with daemon() as listener:
        done = work(unpacked, listener, tracing)
        traced = documents(listener)

    assert done == {"answer": "unreachable", "traced": False}
    assert traced == []
