import time

import pytest

from chalicelib.adapters.tables import TABLES, AuditItem
from tests.abuse import ABUSES, ID, Abuse
from tests.gateway import Gateway
from tests.tables import items_of

BOMBS = [abuse for abuse in ABUSES if abuse.body and len(abuse.body) > 100_000]


@pytest.mark.parametrize("abuse", ABUSES, ids=str)
def test_abuse_is_answered_with_a_problem_and_stores_nothing(api: Gateway, abuse: Abuse) -> None:
    answer = api(abuse.method, abuse.path, raw=abuse.body, headers=abuse.headers)

    assert answer.status in abuse.statuses, answer.text[:500]
    assert answer.status == 200 or answer.headers["Content-Type"] == "application/problem+json"
    assert len(answer.text) < 20_000
    assert not [value for value in answer.headers.values() if "\r" in value or "\n" in value]
    # The audit trail alone knows that somebody tried.
    assert [item for model in TABLES if model is not AuditItem for item in items_of(model)] == []


@pytest.mark.parametrize("abuse", BOMBS, ids=str)
def test_a_bomb_costs_less_than_two_seconds(api: Gateway, abuse: Abuse) -> None:
    started = time.process_time()
    api(abuse.method, abuse.path, raw=abuse.body, headers=abuse.headers)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("path", ["/clients", "/mailings", f"/mailings/{ID}/start", "/dead-letters/redrive"])
@pytest.mark.parametrize(("raw", "status"), [(b" " * 1_048_577, 413), (b"[" * 1000, 400), (b"\xff", 400), (b"[]", 422)])
def test_every_operation_that_reads_a_body_refuses_it(api: Gateway, path: str, raw: bytes, status: int) -> None:
    assert api("POST", path, raw=raw).status == status


@pytest.mark.parametrize("path", ["/clients", f"/mailings/{ID}/start"])
def test_a_body_that_the_gateway_spoiled_is_refused(api: Gateway, path: str) -> None:
    for spoiled in ("\ud800", '{"phone": "\udfff"}'):
        assert api("POST", path, raw=spoiled).status == 400
