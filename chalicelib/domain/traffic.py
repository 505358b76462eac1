"""What senders count while they work, by names of a bounded set: calls of the provider, their answers, put-offs.

Each run of a sender adds its counts to those of all runs before, in one write. They tell how it went; what became of
a message its row says.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.domain.message import Outcome, Reason, Status

CALL_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PUT_OFF_REASONS = (Reason.WINDOW, Reason.RETRY, Reason.OUTAGE, Reason.RATE, Reason.PAUSED)
_BEYOND = "beyond"  # the longest of `CALL_SECONDS`
# Told from the start, as noughts: what a counter first shows is no increase to whoever takes its rate.
FORESEEN: Mapping[AnswerKind, tuple[str, ...]] = {
    AnswerKind.ACCEPTED: ("200",),
    AnswerKind.BROKEN: ("no_json", "wrong_shape", "other_code", "too_large", "3xx"),
    AnswerKind.REFUSED: ("400", "404", "413", "422"),
    AnswerKind.UNAUTHORIZED: ("401", "403", "no_token"),
    AnswerKind.BUSY: ("408", "425", "429", "500", "502", "503", "504"),
    AnswerKind.UNREACHABLE: ("connect", "connect_timeout"),
    AnswerKind.UNCERTAIN: ("timeout", "reset"),
}
_OK = 200
_CODES = frozenset(code for codes in FORESEEN.values() for code in codes)
_NOT_CALLED = "no_token"
_CALL, _CALL_MS, _ANSWER, _PUT_OFF, _ATTEMPTS = "call.", "call_ms", "answer.", "put_off.", "attempts"
_CALLS = (*(f"{_CALL}{bound:g}" for bound in CALL_SECONDS), f"{_CALL}{_BEYOND}")


def count_answer(answer: Answer) -> Counter[str]:
    """Count a call of the provider; without a token none was made."""
    counts: Counter[str] = Counter()
    counts[f"{_ANSWER}{answer.kind.value}.{code_of(answer)}"] = 1
    if answer.error != _NOT_CALLED:
        counts[_CALLS[bisect_left(CALL_SECONDS, answer.duration_ms / 1000)]] = 1
        counts[_CALL_MS] = answer.duration_ms
    return counts


def count_outcomes(outcomes: Iterable[Outcome]) -> Counter[str]:
    """Count the attempts and put-offs of outcomes that were stored."""
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts[_ATTEMPTS] += outcome.after.attempts - outcome.before.attempts
        if outcome.after.status is Status.DEFERRED and outcome.after.reason:
            counts[f"{_PUT_OFF}{outcome.after.reason.value}"] += 1
    return +counts


def code_of(answer: Answer) -> str:
    """Name an answer by its status, or by what was wrong with it; statuses outside the contract by their class."""
    if answer.status is None or (answer.status == _OK and answer.error):
        return answer.error or "none"
    status = str(answer.status)
    return status if status in _CODES else f"{status[0]}xx"


@dataclass(frozen=True, slots=True)
class Traffic:
    """All that was counted, by what it is.

    Attributes:
        calls: by the upper bound of their duration in seconds, infinity beyond the last; each call once.
        call_seconds: that all calls took.
        answers: by kind and code.
        attempts: of messages, as their rows count them.
        put_offs: by reason.
    """

    calls: Mapping[float, int]
    call_seconds: float
    answers: Mapping[tuple[str, str], int]
    attempts: int
    put_offs: Mapping[str, int]

    @classmethod
    def of(cls, counts: Counter[str]) -> "Traffic":
        """Read counts; what never occurred is nought."""
        answers = {(kind.value, code): 0 for kind, codes in FORESEEN.items() for code in codes}
        for name, number in counts.items():
            if name.startswith(_ANSWER):
                kind, _, code = name.removeprefix(_ANSWER).partition(".")
                answers[kind, code] = number
        return cls(
            calls={bound: counts[f"{_CALL}{bound:g}"] for bound in CALL_SECONDS}
            | {float("inf"): counts[f"{_CALL}{_BEYOND}"]},
            call_seconds=counts[_CALL_MS] / 1000,
            answers=answers,
            attempts=counts[_ATTEMPTS],
            put_offs={reason.value: counts[f"{_PUT_OFF}{reason.value}"] for reason in PUT_OFF_REASONS},
        )

    @property
    def answers_by_kind(self) -> Mapping[str, int]:
        """Answers, whatever their code."""
        kinds: Counter[str] = Counter()
        for (kind, _), number in self.answers.items():
            kinds[kind] += number
        return kinds
