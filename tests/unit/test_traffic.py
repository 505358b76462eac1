from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.domain.message import Outcome, Reason, Status, ended, put_off
from chalicelib.domain.traffic import CALL_SECONDS, FORESEEN, Traffic, code_of, count_answer, count_outcomes
from tests.builders import NOW, message

NEVER = dict.fromkeys((*CALL_SECONDS, float("inf")), 0)


@pytest.mark.parametrize(
    ("duration_ms", "bound"),
    [(0, 0.025), (25, 0.025), (26, 0.05), (1000, 1.0), (10_000, 10.0), (10_001, float("inf"))],
)
def test_a_call_counts_under_the_least_bound_that_it_keeps(duration_ms: int, bound: float) -> None:
    counted = Traffic.of(count_answer(Answer(AnswerKind.ACCEPTED, status=200, duration_ms=duration_ms)))
    assert counted.calls == NEVER | {bound: 1}
    assert counted.call_seconds == duration_ms / 1000
    assert counted.answers["accepted", "200"] == 1
    assert sum(counted.answers.values()) == 1


def test_without_a_token_there_was_no_call() -> None:
    counted = Traffic.of(count_answer(Answer(AnswerKind.UNAUTHORIZED, "no_token", duration_ms=7)))
    assert (counted.calls, counted.call_seconds) == (NEVER, 0)
    assert counted.answers_by_kind["unauthorized"] == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(AnswerKind.ACCEPTED, status=200), "200"),
        (Answer(AnswerKind.BROKEN, "no_json", 200), "no_json"),
        (Answer(AnswerKind.BROKEN, "http_302", 302), "3xx"),
        (Answer(AnswerKind.BROKEN, "http_418", 418), "4xx"),
        (Answer(AnswerKind.BUSY, "http_503", 503), "503"),
        (Answer(AnswerKind.BUSY, "http_599", 599), "5xx"),
        (Answer(AnswerKind.UNCERTAIN, "timeout"), "timeout"),
        (Answer(AnswerKind.UNREACHABLE), "none"),
    ],
)
def test_an_answer_is_named_by_few_words(answer: Answer, code: str) -> None:
    assert code_of(answer) == code


def test_whatever_status_comes_the_names_are_few() -> None:
    codes = {code_of(Answer(AnswerKind.BROKEN, f"http_{status}", status)) for status in range(100, 1000)}
    assert len(codes) < 30


def test_attempts_and_put_offs_are_those_of_outcomes() -> None:
    row = message()
    retried = put_off(replace(row, attempts=1), NOW + timedelta(minutes=1), Reason.RETRY, now=NOW)
    outage = put_off(row, NOW, Reason.OUTAGE, now=NOW)
    sent = ended(replace(row, attempts=3), Status.SENT, expires_at=None)
    counted = Traffic.of(count_outcomes([Outcome(row, retried), Outcome(row, outage), Outcome(row, sent)]))
    assert counted.attempts == 4
    assert counted.put_offs == {"window": 0, "retry": 1, "outage": 1, "rate": 0, "paused": 0}


def test_an_end_without_an_attempt_counts_nothing() -> None:
    assert count_outcomes([Outcome(message(), ended(message(), Status.EXPIRED, expires_at=None))]) == Counter()


def test_what_is_foreseen_is_told_as_nought_before_it_occurs() -> None:
    nothing = Traffic.of(Counter())
    assert nothing.answers == {(kind.value, code): 0 for kind, codes in FORESEEN.items() for code in codes}
    assert set(FORESEEN) == set(AnswerKind)
    assert nothing.answers_by_kind == dict.fromkeys(map(str, AnswerKind), 0)


def test_answers_that_were_not_foreseen_are_told_too() -> None:
    assert Traffic.of(Counter({"answer.broken.4xx": 2})).answers["broken", "4xx"] == 2
