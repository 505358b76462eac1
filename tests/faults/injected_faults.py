"""Faults between botocore and the network, at the uses of sites, as their operations can really fail."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, Protocol, cast

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import BaseClient
from botocore.endpoint import Endpoint
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from tests.aws_errors import as_query_error, as_response, as_xml_error, cancelled, error
from tests.faults.call_sites import Use, current_use

Send = Callable[[AWSPreparedRequest], AWSResponse]
Strike = Callable[[AWSPreparedRequest, Send], AWSResponse]

# How services name their throttling, where it is not "ThrottlingException".
THROTTLED = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "lambda": "TooManyRequestsException",
    "sqs": "RequestThrottled",
}
LASTING_CALLS = 8  # more than any of our own retries


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to fail.

    Attributes:
        name: for the table.
        when: whether the call has taken effect by then.
        strike: stands in for the network.
        calls: so many calls of the same use, one after the other, meet it.
        sent_again: botocore repeats the request, below our code; else our code gets the error at once, where
            botocore would try for seconds.
    """

    name: str
    when: Literal["before", "after"]
    strike: Strike
    calls: int = 1
    sent_again: bool = False

    def __str__(self) -> str:
        """Name it."""
        return self.name


def kinds_for(operation: str, service: str) -> list[Kind]:
    """List the ways in which an operation can fail."""
    kinds = [
        Kind("no connection", "before", _no_connection),
        Kind("throttled", "before", _throttled(service)),
        Kind("answer lost", "after", _answer_lost),
        Kind("answer lost, sent again", "after", _answer_lost, sent_again=True),
    ]
    if partly := _PARTLY.get(operation):
        name, strike = partly
        kinds += [
            Kind(name, "before", strike),
            Kind(f"{name}, lasting", "before", strike, calls=LASTING_CALLS),
        ]
    return kinds


def _no_connection(request: AWSPreparedRequest, _send: Send) -> AWSResponse:
    raise ConnectTimeoutError(endpoint_url=request.url)


def _answer_lost(request: AWSPreparedRequest, send: Send) -> AWSResponse:
    send(request)
    raise ReadTimeoutError(endpoint_url=request.url)


def _answering(answer: tuple[int, dict[str, Any]]) -> Strike:
    return lambda request, _send: as_response(request.url, answer)


def _throttled(service: str) -> Strike:
    if service == "s3":
        return lambda request, _send: as_xml_error(request.url, "SlowDown")
    if service == "ses":
        return lambda request, _send: as_query_error(request.url, "Throttling")
    return _answering(error(THROTTLED.get(service, "ThrottlingException")))


def _in_conflict(request: AWSPreparedRequest, _send: Send) -> AWSResponse:
    items = _body(request)["TransactItems"]
    codes = ["TransactionConflict", *["None"] * (len(items) - 2), "ThrottlingError"]
    return as_response(request.url, cancelled(*codes[: len(items)]))


def _some_statements(request: AWSPreparedRequest, send: Send) -> AWSResponse:
    statements = _body(request)["Statements"]
    done = _half(request, send, {"Statements": statements[: len(statements) // 2]}, statements[: len(statements) // 2])
    failed = {"Error": {"Code": "ThrottlingError", "Message": "injected"}}
    responses = [*done.get("Responses", ()), *[failed] * (len(statements) - len(statements) // 2)]
    return as_response(request.url, (200, {"Responses": responses}))


def _some_keys(request: AWSPreparedRequest, send: Send) -> AWSResponse:
    ((table, wanted),) = _body(request)["RequestItems"].items()
    half = len(wanted["Keys"]) // 2
    now, later = ({table: wanted | {"Keys": keys}} for keys in (wanted["Keys"][:half], wanted["Keys"][half:]))
    done = _half(request, send, {"RequestItems": now}, wanted["Keys"][:half])
    return as_response(request.url, (200, {"Responses": done.get("Responses", {}), "UnprocessedKeys": later}))


def _some_entries(request: AWSPreparedRequest, send: Send) -> AWSResponse:
    body = _body(request)
    half = len(body["Entries"]) // 2
    done = _half(request, send, body | {"Entries": body["Entries"][:half]}, body["Entries"][:half])
    refused = [
        {"Id": entry["Id"], "Code": "InternalError", "SenderFault": False, "Message": "injected"}
        for entry in body["Entries"][half:]
    ]
    return as_response(request.url, (200, {"Successful": done.get("Successful", []), "Failed": refused}))


_PARTLY: Mapping[str, tuple[str, Strike]] = {
    "TransactWriteItems": ("conflict", _in_conflict),
    "BatchExecuteStatement": ("failed statements", _some_statements),
    "BatchGetItem": ("unprocessed keys", _some_keys),
    "SendMessageBatch": ("refused entries", _some_entries),
}


def _body(request: AWSPreparedRequest) -> dict[str, Any]:
    content = request.body
    assert isinstance(content, (bytes, str))
    body: dict[str, Any] = json.loads(content)
    return body


def _half(request: AWSPreparedRequest, send: Send, body: Mapping[str, Any], some: list[Any]) -> dict[str, Any]:
    """Have the service do what is left in the body, if anything is."""
    if not some:
        return {}
    request.body = json.dumps(body).encode()
    request.headers["Content-Length"] = str(len(request.body))
    answered: dict[str, Any] = json.loads(send(request).content)
    return answered


class Faults(Protocol):
    """What decides which calls fail; asked by one thread at a time."""

    @property
    def struck_calls(self) -> int:
        """How many calls were met."""
        ...

    def meets(self, use: Use, service: str) -> Kind | None:
        """Say how a call fails, None if it does not."""
        ...


@dataclass
class Fault:
    """One fault at the first calls of one use. `struck` counts them: 0 means that it was never reached."""

    use: Use
    kind: Kind
    struck: int = 0

    @property
    def struck_calls(self) -> int:
        """How many calls were met."""
        return self.struck

    def meets(self, use: Use, _service: str) -> Kind | None:
        """Say how a call fails."""
        if use != self.use or self.struck == self.kind.calls:
            return None
        self.struck += 1
        return self.kind


@dataclass
class Storm:
    """Faults of any kind at any calls, drawn with this chance, until it has spent itself; `struck` names them."""

    chance: Random
    rate: float = 0.05
    faults: int = 12
    struck: list[str] = field(default_factory=list)

    @property
    def struck_calls(self) -> int:
        """How many calls were met."""
        return len(self.struck)

    def meets(self, use: Use, service: str) -> Kind | None:
        """Say how a call fails."""
        if len(self.struck) == self.faults or self.chance.random() >= self.rate:
            return None
        kind = self.chance.choice(kinds_for(use.site.operation, service))
        self.struck.append(f"{use}: {kind}")
        return kind


@dataclass
class Wire:
    """What lies between botocore and the network; records all calls of the package, and strikes where it is told.

    Attributes:
        played: operations that no service but we ourselves answer.
        uses: what was called, with the service and how often.
        faults: what to inject, if anything.
    """

    played: dict[str, Send] = field(default_factory=dict)
    uses: Counter[tuple[Use, str]] = field(default_factory=Counter)
    faults: Faults | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _local: threading.local = field(default_factory=threading.local)

    @property
    def struck(self) -> int:
        """How many calls have met a fault."""
        return self.faults.struck_calls if self.faults else 0

    def forget(self) -> None:
        """Begin anew: nothing recorded, and no fault."""
        self.uses.clear()
        self.faults = None

    def begin(self, operation: str, service: str) -> None:
        """Note a call of this thread, and whether it is to fail."""
        use = current_use(operation)
        self._local.operation = operation
        self._local.kind = None
        if use is None:
            return
        with self._lock:
            self.uses[use, service] += 1
            if self.faults:
                self._local.kind = self.faults.meets(use, service)

    def send(self, request: AWSPreparedRequest, send: Send) -> AWSResponse:
        """Send a request, or have the fault do so."""
        send = self.played.get(self._local.operation, send)
        kind: Kind | None = self._local.kind
        return kind.strike(request, send) if kind else send(request)

    def sends_again(self) -> bool | None:
        """Say whether a request is repeated that the fault has met; None: that is for botocore to say."""
        kind: Kind | None = self._local.kind
        self._local.kind = None
        return kind.sent_again if kind else None


@contextmanager
def wired() -> Iterator[Wire]:
    """Put a wire between all botocore clients of this process, PynamoDB's too, and the network."""
    wire = Wire()
    clients: Any = BaseClient  # these methods are private, and in no stub
    endpoints: Any = Endpoint
    call, send, retry = clients._make_api_call, endpoints._send, endpoints._needs_retry

    def calling(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401 - as botocore's
        wire.begin(operation, client.meta.service_model.service_name)
        return call(client, operation, parameters)

    def sending(endpoint: Endpoint, request: AWSPreparedRequest) -> AWSResponse:
        return wire.send(request, lambda sent: cast("AWSResponse", send(endpoint, sent)))

    def needing_retry(endpoint: Endpoint, *args: Any, **kwargs: Any) -> bool:  # noqa: ANN401 - as botocore's
        decided = wire.sends_again()
        return bool(retry(endpoint, *args, **kwargs)) if decided is None else decided

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clients, "_make_api_call", calling)
        patch.setattr(endpoints, "_send", sending)
        patch.setattr(endpoints, "_needs_retry", needing_retry)
        yield wire
