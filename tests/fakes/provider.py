import threading
from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.domain.answer import Answer, AnswerKind

ACCEPTED = Answer(AnswerKind.ACCEPTED, status=200)
BUSY = Answer(AnswerKind.BUSY, "http_503", 503)
REFUSED = Answer(AnswerKind.REFUSED, "http_400", 400)
TIMEOUT = Answer(AnswerKind.UNCERTAIN, "timeout")


@dataclass(frozen=True)
class Request:
    """What the provider was asked."""

    id: int
    phone: str
    text: str
    timeout_seconds: float


class FakeProvider:
    """A provider that remembers what it was asked (port: `Provider`). Thread-safe.

    Attributes:
        answer: says what it answers, or does; it may take its time, hang or raise.
    """

    def __init__(self, answer: Answer | Callable[[Request], Answer] = ACCEPTED) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self._lock = threading.Lock()

    def send(self, message_id: int, phone: str, text: str, timeout_seconds: float) -> Answer:
        request = Request(message_id, phone, text, timeout_seconds)
        with self._lock:
            self.requests.append(request)
        return self.answer(request) if callable(self.answer) else self.answer

    def accepted_twice(self) -> set[int]:
        """Name the messages for which there was more than one request."""
        ids = [request.id for request in self.requests]
        return {id_ for id_ in ids if ids.count(id_) > 1}
