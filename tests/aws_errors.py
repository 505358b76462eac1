"""Answers that AWS gives rarely, put in the place of real ones at the botocore layer, below all retries."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict

Answer = tuple[int, dict[str, Any]]


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content


def error(code: str, **details: Any) -> Answer:  # noqa: ANN401 - members of the error's shape
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": f"injected {code}"} | details


def cancelled(*codes: str) -> Answer:
    """Make the answer to a transaction of which nothing took effect."""
    return error("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


def as_response(url: str, answer: Answer) -> AWSResponse:
    """Make of an answer what botocore gets from the network."""
    status, body = answer
    content = json.dumps(body).encode()
    headers = {"content-type": "application/x-amz-json-1.0", "content-length": str(len(content))}
    if "__type" in body:
        headers["x-amzn-errortype"] = str(body["__type"])  # there services with a REST protocol name the error
    made: Any = HeadersDict(headers)
    return AWSResponse(url, status, made, _Body(content))


def as_xml_error(url: str, code: str) -> AWSResponse:
    """Make of an error what botocore gets from S3."""
    return _as_xml(url, 503, f"<Error><Code>{code}</Code><Message>injected</Message></Error>")


def as_query_error(url: str, code: str) -> AWSResponse:
    """Make of an error what botocore gets from SES, which speaks the old query protocol."""
    content = f"<ErrorResponse><Error><Code>{code}</Code><Message>injected</Message></Error></ErrorResponse>"
    return _as_xml(url, 400, content)


def _as_xml(url: str, status: int, text: str) -> AWSResponse:
    content = text.encode()
    made: Any = HeadersDict({"content-type": "application/xml", "content-length": str(len(content))})
    return AWSResponse(url, status, made, _Body(content))


@contextmanager
def answered(
    client: Any,  # noqa: ANN401 - boto3's clients are made at run time
    operation: str,
    *answers: Answer | None,
    table: str | None = None,
) -> Iterator[list[dict[str, Any]]]:
    """Answer the next calls of an operation so; None, and each call after them, reaches the service.

    With a `table`, calls that concern another one are left alone. Yields the bodies of all calls, as they come.
    """
    calls: list[dict[str, Any]] = []

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        body = json.loads(request.body if isinstance(request.body, (str, bytes)) else b"{}")
        if table is not None and body["TableName"] != table:
            return None
        calls.append(body)
        given = answers[len(calls) - 1] if len(calls) <= len(answers) else None
        if given is None:
            return None
        return as_response(request.url, given)

    event = f"before-send.{client.meta.service_model.service_id.hyphenize()}.{operation}"
    client.meta.events.register(event, answer)
    try:
        yield calls
    finally:
        client.meta.events.unregister(event, answer)


@contextmanager
def first_answer_lost(client: Any, operation: str) -> Iterator[None]:  # noqa: ANN401
    """Have the next call sent again although it took effect, as botocore does when the answer does not come."""
    lost = [0.0]
    with _decided(client, operation, lambda: lost.pop() if lost else None):
        yield
    assert not lost, f"there was no call of {operation}"


@contextmanager
def without_transport_retries(client: Any, operation: str) -> Iterator[None]:  # noqa: ANN401
    """Have botocore give up at once, as it otherwise does after seconds."""
    # False is an answer, unlike None: no other handler is asked, and it means no retry.
    with _decided(client, operation, lambda: False):
        yield


@contextmanager
def _decided(client: Any, operation: str, decide: Callable[[], float | None]) -> Iterator[None]:  # noqa: ANN401
    """Say in botocore's place whether a call is sent again: after so many seconds, or None to let it decide."""

    def retry(**_: object) -> float | None:
        return decide()

    event = f"needs-retry.{client.meta.service_model.service_id.hyphenize()}.{operation}"
    client.meta.events.register_first(event, retry)
    try:
        yield
    finally:
        client.meta.events.unregister(event, retry)
