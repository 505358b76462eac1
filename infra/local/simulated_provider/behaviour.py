"""What the simulated provider does with a valid request: as set through `/_control`."""

from __future__ import annotations

import json
from http import HTTPStatus
from random import Random
from typing import Annotated, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeInt,
    model_validator,
)

from simulated_provider.messages import Answer, Cut, answer, reason_phrase

_SUCCESS: JsonValue = {"code": 0, "message": "OK"}


def _drop_from_flag(value: object) -> object:
    """Read `true` as the drop that hurts most, `false` as none."""
    if isinstance(value, bool):
        return "after" if value else None
    return value


def _header_text(value: str) -> str:
    if not (value.isascii() and value.isprintable() and value == value.strip() != ""):
        raise ValueError("Input should be whole seconds or printable ASCII without spaces around it")
    return value


def _finite(value: JsonValue) -> JsonValue:
    json.dumps(value, allow_nan=False)  # raises ValueError: the parser lets NaN pass, which is not JSON
    return value


class Behaviour(BaseModel):
    """The provider's behaviour; null is a field's default, and without any field each request succeeds at once.

    Attributes:
        latency_ms: Delay of each answer, in milliseconds.
        hang_s: Further delay of each answer, in seconds.
        status: Answer with this HTTP status; with `error_rate` the default is 500.
        body: Answer with this body: a string as it is, anything else as JSON.
        retry_after: The `Retry-After` header of each answer that is set here and is not 2xx: seconds, or any text.
        drop: Break the connection instead, whatever `status` and `body` say: "before" the request is accepted,
            "after" it (or true), or "half" way through the success answer.
        drip_s: Let the answer drip, bit by bit from its first byte to its last, over so many seconds.
        error_rate: The share of requests, 0 to 1, that meets `status`, `body`, `drop` or `drip_s`; the rest succeed.
            Null: all.
        seed: Makes the choice by `error_rate` repeatable.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    latency_ms: Annotated[float, Field(ge=0, le=3_600_000)] = 0
    hang_s: Annotated[float, Field(ge=0, le=86_400)] = 0
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    body: Annotated[JsonValue, AfterValidator(_finite)] = None
    retry_after: NonNegativeInt | Annotated[str, AfterValidator(_header_text)] | None = None
    drop: Annotated[Literal["before", "after", "half"] | None, BeforeValidator(_drop_from_flag)] = None
    drip_s: Annotated[float, Field(ge=0, le=86_400)] = 0
    error_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: int | None = None

    @model_validator(mode="before")
    @staticmethod
    def _null_is_default(data: object) -> object:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data

    @property
    def delay_seconds(self) -> float:
        """Seconds from a request to its answer."""
        return self.latency_ms / 1000 + self.hang_s


class Outcome(NamedTuple):
    """What becomes of a request: its answer, whether the provider took the message, and whether it misbehaved."""

    answer: Answer
    accepted: bool
    misbehaved: bool


class BehaviourInForce:
    """Decides request by request, following one behaviour."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self._random = Random(behaviour.seed)  # noqa: S311  a share of requests is no secret
        self._success = Outcome(self._answer(HTTPStatus.OK, _SUCCESS), accepted=True, misbehaved=behaviour.hang_s > 0)
        self._fault = self._plan_fault()
        self._fault_rate = 1 if behaviour.error_rate is None else behaviour.error_rate

    def next_outcome(self) -> Outcome:
        """Return what becomes of the next request."""
        return self._fault if self._random.random() < self._fault_rate else self._success

    def _plan_fault(self) -> Outcome:
        """Return what becomes of requests that do not simply succeed; the plain success where none is set."""
        behaviour = self.behaviour
        if behaviour.drop:
            cut = Cut.HALF if behaviour.drop == "half" else Cut.RESET
            reply = self._success.answer._replace(cut=cut, drip_seconds=behaviour.drip_s)
            return Outcome(reply, behaviour.drop != "before", misbehaved=True)
        fails = behaviour.error_rate is not None and not behaviour.drip_s
        status = behaviour.status or (HTTPStatus.INTERNAL_SERVER_ERROR if fails else HTTPStatus.OK)
        body = behaviour.body
        if body is None:
            body = _SUCCESS if status == HTTPStatus.OK else {"code": int(status), "message": reason_phrase(status)}
        accepted = status == HTTPStatus.OK and _says_success(body)
        misbehaved = not accepted or behaviour.drip_s > 0 or behaviour.hang_s > 0
        return Outcome(self._answer(status, body)._replace(drip_seconds=behaviour.drip_s), accepted, misbehaved)

    def _answer(self, status: int, body: JsonValue) -> Answer:
        headers = {}
        if status // 100 == 3:  # noqa: PLR2004  the class of redirects
            # To itself: a client that follows is seen as one more request.
            headers["Location"] = "?redirected"
        if status // 100 != 2 and self.behaviour.retry_after is not None:  # noqa: PLR2004  the class of successes
            headers["Retry-After"] = str(self.behaviour.retry_after)
        if isinstance(body, str):
            built = answer(status, body.encode(), "text/plain; charset=utf-8", headers)
        else:
            built = answer(status, json.dumps(body).encode(), headers=headers)
        return built._replace(delay_seconds=self.behaviour.delay_seconds)


def _says_success(body: JsonValue) -> bool:
    """Tell whether a client that keeps the contract reads this body as success: a JSON object with `code` 0."""
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            return False
    code = body.get("code") if isinstance(body, dict) else None
    return type(code) is int and code == 0
