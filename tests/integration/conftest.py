import threading
from collections.abc import Callable, Iterator
from functools import wraps
from io import StringIO
from typing import Any

import pytest
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.responses import DynamoHandler

from chalicelib.adapters.dynamodb import DynamoDB
from chalicelib.adapters.tables import bind
from chalicelib.bootstrap import Application, application, utc_now
from chalicelib.observability import logger
from tests.fakes.queues import FakeTicketQueue
from tests.fakes.scheduler import FakeScheduler
from tests.gateway import Gateway, signing_key
from tests.tables import create_tables
from tests.tokens import ISSUER, TOKEN, trust_tests

SETTINGS = {
    "PROVIDER_URL": "http://127.0.0.1:1",
    "TABLE_PREFIX": "test",
    "ISSUER_URL": ISSUER,
    "SIGNING_KEY_SECRET": "test-signing-key",
} | {
    name: f"test-{name.lower()}"
    for name in (
        "PLAN_QUEUE_URL",
        "PLAN_DLQ_URL",
        "SEND_QUEUE_URL",
        "SEND_DLQ_URL",
        "EXPRESS_QUEUE_URL",
        "EXPRESS_DLQ_URL",
        "IMPORT_QUEUE_URL",
        "IMPORT_DLQ_URL",
        "IMPORTS_BUCKET",
        "PLANNER_ARN",
        "SCHEDULE_GROUP",
        "SCHEDULER_ROLE_ARN",
        "SCHEDULER_DLQ_ARN",
        "SCHEDULER_DLQ_URL",
        "PROVIDER_TOKEN_SECRET",
    )
}


@pytest.fixture(scope="module")
def played_aws() -> Iterator[None]:
    """Play AWS with our tables, for a module: making clients and tables takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setattr(DynamoHandler, "call_action", _one_at_a_time(DynamoHandler.call_action))
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        signing_key(SETTINGS["SIGNING_KEY_SECRET"])
        create_tables(SETTINGS["TABLE_PREFIX"])
        application.cache_clear()
        yield
        application.cache_clear()
        bind("unbound")


def _one_at_a_time(call: Callable[..., Any]) -> Callable[..., Any]:
    """Have threads wait for each other: moto copies its tables for a transaction, and breaks where others write."""
    alone = threading.Lock()

    @wraps(call)
    def wait_and_call(*args: object) -> Any:  # noqa: ANN401 - moto's answer
        with alone:
            return call(*args)

    return wait_and_call


@pytest.fixture
def scheduler() -> FakeScheduler:
    return FakeScheduler()


@pytest.fixture
def tickets() -> FakeTicketQueue:
    return FakeTicketQueue(utc_now)


@pytest.fixture
def built(played_aws: None, scheduler: FakeScheduler, tickets: FakeTicketQueue) -> Iterator[Application]:  # noqa: ARG001 - what it is built upon
    """Hand out the whole application, with empty tables, and a scheduler and queues that can be looked into."""
    whole = application()
    whole.__dict__.update(scheduler=scheduler, tickets=tickets)
    trust_tests(whole)
    for service in (
        "manage_mailings",
        "control_mailings",
        "order_sweep",
        "start_due",
        "manage_clients",
        "follow_client",
        "read_dashboard",
        "read_figures",
        "tell_figures",
        "tally",
    ):
        whole.__dict__.pop(service, None)
    yield whole
    _empty_tables()


def _empty_tables() -> None:
    """Delete all items behind moto's back: to scan tables and delete item by item takes longer than most tests."""
    for region in dynamodb_backends[DEFAULT_ACCOUNT_ID].values():
        for table in region.tables.values():
            table.items.clear()


@pytest.fixture
def dynamodb(built: Application) -> DynamoDB:
    return built.dynamodb


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """Collect the lines that would go to CloudWatch."""
    stream = StringIO()
    monkeypatch.setattr(logger.logger_handler, "stream", stream)
    return stream


@pytest.fixture
def api(built: Application) -> Gateway:  # noqa: ARG001 - it must be there before the first request
    return Gateway(TOKEN)
