"""`/metrics`: what it tells, to whom, and what of it when something cannot be read."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from chalicelib.adapters.tables import CounterItem, MailingItem, SegmentItem
from chalicelib.bootstrap import Application
from chalicelib.domain.figures import Source
from chalicelib.domain.mailing import MailingStatus
from chalicelib.errors import TransientError
from tests.aws_errors import answered, error, without_transport_retries
from tests.builders import mailing, message, ulid
from tests.fakes.dead_letters import FakeDeadLetters
from tests.gateway import Answer, Gateway
from tests.prometheus import promtool
from tests.tokens import token_for

SECRET = "a-secret-of-the-scraper-0123456789"
THROTTLED = error("ProvisionedThroughputExceededException")
# As Prometheus 2.42 asks.
OPENMETRICS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def ready(built: Application) -> Iterator[None]:
    built.__dict__["dead_letters"] = FakeDeadLetters(built.clock)
    built.__dict__["scrape_secret"] = SimpleNamespace(current=lambda: SECRET)
    yield
    for part in ("dead_letters", "scrape_secret", "access_tokens"):
        built.__dict__.pop(part, None)


def scrape(**headers: str) -> Answer:
    return Gateway()("GET", "/metrics", headers={"authorization": f"Bearer {SECRET}", **headers})


def samples(answer: Answer) -> Samples:
    assert answer.status == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(of: Samples, name: str, **labels: str) -> float | None:
    return of.get((name, frozenset(labels.items())))


def sending(built: Application, number: int = 100, rows: int = 3) -> str:
    made = mailing(id=ulid(number), status=MailingStatus.RUNNING)
    built.mailings.create(made)
    built.messages.plan(made, [message(mailing_id=made.id, client_id=ulid(n)) for n in range(rows)])
    return made.id


def test_a_mailing_that_is_sent_is_told_as_its_counters_are(built: Application) -> None:
    id_ = sending(built)
    told = samples(scrape())
    assert value(told, "vestnik_messages", mailing=id_, status="queued") == 3
    assert value(told, "vestnik_messages", mailing=id_, status="sent") == 0
    assert value(told, "vestnik_messages", mailing="other", status="queued") == 0
    assert value(told, "vestnik_mailings", status="running") == 1
    assert value(told, "vestnik_breaker_state", state="closed") == 1
    assert value(told, "vestnik_provider_call_seconds_bucket", le="+Inf") == 0
    assert {value(told, "vestnik_source_up", source=source.value) for source in Source} == {1}


def test_promtool_finds_no_fault(built: Application) -> None:
    sending(built)
    built.figures.add(built.tally.unwritten, {"send": built.clock()}, built.clock())
    built.tell_figures()
    assert promtool("check", "metrics", given=scrape().text) == ""


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html, */*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=1.0.0", "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"),
        (
            OPENMETRICS,
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
    ],
)
def test_the_format_is_the_one_asked_for(accept: str, content_type: str) -> None:
    answer = scrape(accept=accept)
    assert answer.headers["Content-Type"] == content_type
    if "openmetrics" in content_type:
        assert "vestnik_build" in {family.name for family in read_openmetrics(answer.text)}
    else:
        assert value(samples(answer), "vestnik_overdue_mailings") == 0


def test_labels_cannot_be_broken_out_of(built: Application) -> None:
    made = mailing(id='x"} 1\nevil{a="\\', status=MailingStatus.RUNNING)
    built.mailings.create(made)
    told = samples(scrape())
    assert value(told, "vestnik_messages", mailing=made.id, status="queued") == 0
    assert not any(name.startswith("evil") for name, _ in told)


def test_so_many_mailings_there_are_a_hundred_are_told(built: Application) -> None:
    for number in range(105):
        built.mailings.create(mailing(id=ulid(100 + number), status=MailingStatus.RUNNING))
    told = samples(scrape())
    assert len({dict(labels)["mailing"] for name, labels in told if name == "vestnik_messages"}) == 101


class TestDoor:
    def test_a_token_that_may_read_statistics_opens(self) -> None:
        assert Gateway(token_for("stats:read"))("GET", "/metrics").status == 200

    def test_without_the_scope_it_does_not(self) -> None:
        answer = Gateway(token_for("clients:read", "admin"))("GET", "/metrics")
        assert answer.status == 403
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="stats:read"'

    @pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", f"Basic {SECRET}", SECRET])
    def test_without_anything_it_is_closed(self, header: str) -> None:
        answer = Gateway()("GET", "/metrics", headers={"authorization": header})
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")

    @pytest.mark.parametrize("wrong", [SECRET[:-1], f"{SECRET}x", "é", "a.b.c", "x"])
    def test_a_wrong_secret_is_refused(self, wrong: str) -> None:
        answer = Gateway()("GET", "/metrics", headers={"authorization": f"Bearer {wrong}"})
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
        assert SECRET not in answer.text

    @pytest.mark.parametrize("path", ["/stats", "/clients", "/metrics/x", "/admin/x"])
    def test_the_secret_opens_nothing_else(self, path: str) -> None:
        answer = Gateway()("GET", path, headers={"authorization": f"Bearer {SECRET}"})
        assert answer.status != 200
        assert answer.status == 401 or path.startswith("/admin")

    def test_head_passes_the_same_door(self) -> None:
        assert Gateway()("HEAD", "/metrics").status == 401
        answer = Gateway()("HEAD", "/metrics", headers={"authorization": f"Bearer {SECRET}"})
        assert (answer.status, answer.text) == (200, "")

    def test_where_there_is_no_secret_tokens_open_and_nothing_else(self, built: Application) -> None:
        built.__dict__["scrape_secret"] = None
        assert scrape().status == 401
        assert Gateway(token_for("stats:read"))("GET", "/metrics").status == 200

    def test_with_neither_it_is_closed(self, built: Application) -> None:
        built.__dict__["scrape_secret"] = built.__dict__["access_tokens"] = None
        assert scrape().status == 503

    def test_without_an_issuer_the_secret_opens_and_no_token(self, built: Application) -> None:
        built.__dict__["access_tokens"] = None
        assert scrape().status == 200
        assert scrape(authorization="Bearer other").status == 401

    def test_a_secret_that_cannot_be_read_keeps_no_token_out(self, built: Application) -> None:
        def unreadable() -> str:
            raise TransientError("the secret cannot be read")

        built.__dict__["scrape_secret"] = SimpleNamespace(current=unreadable)
        assert scrape().status == 503
        assert Gateway(token_for("stats:read"))("GET", "/metrics").status == 200


@contextmanager
def throttled(built: Application, table: str, operation: str = "Query") -> Iterator[None]:
    client = built.dynamodb.client
    with ExitStack() as stack:
        stack.enter_context(without_transport_retries(client, operation))
        stack.enter_context(answered(client, operation, *[THROTTLED] * 1000, table=table))
        yield


@pytest.mark.parametrize(
    ("model", "unknown", "missing"),
    [
        (MailingItem, {"mailings", "messages", "planning"}, {"vestnik_mailings", "vestnik_messages"}),
        (CounterItem, {"record", "messages"}, {"vestnik_messages", "vestnik_attempts_total"}),
        (SegmentItem, {"planning"}, {"vestnik_planning_segments"}),
    ],
)
def test_while_a_table_is_throttled_what_is_known_is_told(
    built: Application, model: type, unknown: set[str], missing: set[str]
) -> None:
    sending(built)
    assert {name for name, _ in samples(scrape())} >= missing
    with throttled(built, model.Meta.table_name):  # type: ignore[attr-defined]
        told = samples(scrape())
    down = {source.value for source in Source if value(told, "vestnik_source_up", source=source.value) == 0}
    assert down == unknown
    assert not {name for name, _ in told} & missing
    assert value(told, "vestnik_breaker_state", state="closed") == 1
    assert value(told, "vestnik_queue_tickets", queue="send", state="visible") == 0
    errors = {source: value(told, "vestnik_scrape_errors_total", source=source) for source in unknown}
    assert errors.pop("planning", 1) == (0 if "mailings" in unknown else 1)
    assert errors.pop("messages", 1) == (0 if "mailings" in unknown else 1)
    assert set(errors.values()) <= {1}


def test_errors_are_counted_over_all_processes(built: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise TransientError("no")

    with monkeypatch.context() as patch:
        patch.setattr(built.tickets, "depths", fails)
        for number in (1, 2):
            told = samples(scrape())
            assert value(told, "vestnik_scrape_errors_total", source="queues") == number
    for part in ("read_figures", "tally"):  # another process
        built.__dict__.pop(part, None)
    assert value(samples(scrape()), "vestnik_scrape_errors_total", source="queues") == 2


def test_the_log_does_not_have_the_secret(logged: StringIO) -> None:
    scrape()
    scrape(authorization="Bearer wrong-secret")
    lines = logged.getvalue()
    assert "request answered" in lines
    assert not re.search(f"{SECRET}|wrong-secret", lines)


def test_deleted_mailings_are_not_told(built: Application) -> None:
    id_ = sending(built)
    before = built.mailings.get(id_)
    assert before
    built.mailings.replace(before, replace(before, status=MailingStatus.DELETED, version=2))
    assert value(samples(scrape()), "vestnik_messages", mailing=id_, status="queued") is None
