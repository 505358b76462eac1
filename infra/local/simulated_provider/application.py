"""The simulated provider: keeps the provider contract, follows its behaviour, and tells what reached it."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulated_provider.behaviour import Behaviour, BehaviourInForce
from simulated_provider.ledger import REMEMBERED_REQUESTS, Ledger, Received
from simulated_provider.messages import KEPT_BODY_BYTES, Answer, Request, answer, json_answer, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    _Methods = Mapping[str, Callable[[Request], Answer]]

_SEND_PATH = "/v1/send"
_MAX_MESSAGE_BYTES = 64 * 1024


class Message(BaseModel):
    """The body of a request to send, exactly."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    id: Annotated[int, Field(ge=-(2**63), lt=2**63)]
    phone: Annotated[int, Field(ge=-(2**63), lt=2**63)]
    text: str


class ReceivedQuery(BaseModel):
    """The query of `GET /_received`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=0, le=REMEMBERED_REQUESTS)] = 100
    id: int | None = None


class RefusedError(Exception):
    """The request breaks the provider contract."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        # RFC 9110 section 11.6.1: a 401 names the scheme that is asked for.
        headers = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else None
        self.answer = json_answer(status, {"code": int(status), "message": message}, headers)


class SimulatedProvider:
    """Answers requests, one after the other, without waiting for anything.

    `token`: the only bearer token that is let in; None lets any in.
    """

    def __init__(self, token: str | None = None) -> None:
        self._token = token
        self._in_force = BehaviourInForce(Behaviour())
        self._ledger = Ledger()
        self._in_flight = 0
        self._max_in_flight = 0
        self._send_methods: _Methods = {"POST": self._send}
        self._routes: dict[str, _Methods] = {
            "/_control": {"GET": self._read_control, "POST": self._set_control},
            "/_received": {"GET": self._read_received, "DELETE": self._clear_received},
        }

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        path = _path(request)
        parent, _, message_id = path.rpartition("/")
        methods = self._send_methods if parent == _SEND_PATH and message_id else self._routes.get(path)
        if methods is None:
            return problem(HTTPStatus.NOT_FOUND, f"no such address: {path}")
        handle = methods.get("GET" if request.method == "HEAD" else request.method)
        if handle is None:
            allowed = ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
            return problem(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} knows {allowed}", {"Allow": allowed})
        return handle(request)

    # The provider contract.

    def _send(self, request: Request) -> Answer:
        path_id = _path(request).rpartition("/")[2]
        request_id = request.headers[b"x-request-id"].decode("latin-1") if b"x-request-id" in request.headers else None
        try:
            message = self._read_message(request, path_id)
        except RefusedError as refused:
            reply = refused.answer._replace(delay_seconds=self._in_force.behaviour.delay_seconds)
            times = (request.started_at, request.received_at)
            self._ledger.record(
                Received(_readable_id(path_id), None, None, *times, reply.status, accepted=False, request_id=request_id)
            )
        else:
            reply, accepted, misbehaved = self._in_force.next_outcome()
            times = (request.started_at, request.received_at)
            status = None if reply.resets else reply.status
            self._ledger.record(
                Received(message.id, message.phone, message.text, *times, status, accepted, misbehaved, request_id)
            )
        self._in_flight += 1
        self._max_in_flight = max(self._max_in_flight, self._in_flight)
        return reply._replace(finished=self._leave)

    def _leave(self) -> None:
        self._in_flight -= 1

    def _read_message(self, request: Request, path_id: str) -> Message:
        scheme, _, token = request.headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or (self._token is not None and token != self._token):
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "a valid bearer token is needed")
        if request.size > _MAX_MESSAGE_BYTES:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is above {_MAX_MESSAGE_BYTES} bytes")
        try:
            message = Message.model_validate_json(request.body)
        except ValidationError as error:
            told = "; ".join(f"{field}: {text}" if field else text for field, text in _messages(error).items())
            raise RefusedError(HTTPStatus.BAD_REQUEST, told) from error
        if str(message.id) != path_id:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "id: differs from the address")
        return message

    # The test's side.

    def _read_control(self, _: Request) -> Answer:
        return json_answer(HTTPStatus.OK, self._in_force.behaviour.model_dump())

    def _set_control(self, request: Request) -> Answer:
        if request.size > KEPT_BODY_BYTES:
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is above {KEPT_BODY_BYTES} bytes")
        try:
            behaviour = Behaviour.model_validate_json(request.body)
        except ValidationError as error:
            return _unprocessable(error)
        self._in_force = BehaviourInForce(behaviour)
        return self._read_control(request)

    def _read_received(self, request: Request) -> Answer:
        query = request.target.partition("?")[2]
        try:
            wanted = ReceivedQuery.model_validate(dict(parse_qsl(query, keep_blank_values=True)))
        except ValidationError as error:
            return _unprocessable(error)
        in_flight = {"in_flight": self._in_flight, "max_in_flight": self._max_in_flight}
        return json_answer(HTTPStatus.OK, self._ledger.to_json(wanted.limit, wanted.id) | in_flight)

    def _clear_received(self, _: Request) -> Answer:
        self._ledger = Ledger()
        self._max_in_flight = self._in_flight
        return answer(HTTPStatus.NO_CONTENT)


def _path(request: Request) -> str:
    return request.target.partition("?")[0]


def _readable_id(text: str) -> int | None:
    return int(text) if re.fullmatch("-?[0-9]{1,19}", text) else None


def _messages(error: ValidationError) -> dict[str, str]:
    """Return what is wrong by field; a field of several possible types has a message for each, joined."""
    messages: dict[str, list[str]] = {}
    for one in error.errors(include_url=False, include_context=False):
        messages.setdefault(str(one["loc"][0]) if one["loc"] else "", []).append(
            one["msg"].removeprefix("Value error, ")
        )
    return {field: " or ".join(texts) for field, texts in messages.items()}


def _unprocessable(error: ValidationError) -> Answer:
    messages = _messages(error)
    if "" in messages:
        return problem(HTTPStatus.BAD_REQUEST, f"not a JSON object: {messages['']}")
    errors = [{"field": field, "message": text} for field, text in messages.items()]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "wrong fields: " + ", ".join(messages), errors=errors)
