"""What the API tells of the breaker: in health, statistics and explanations."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.adapters.tables import ControlItem
from chalicelib.api.schemas import write_moment
from chalicelib.bootstrap import Application, utc_now
from chalicelib.domain.breaker import Breaker, BreakerState, Cause
from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import UNLEASED
from tests.aws_errors import answered, error, without_transport_retries
from tests.builders import client, mailing, message
from tests.gateway import Gateway

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
MAILING = mailing()
SHOWING = ("/health", "/stats", f"/mailings/{MAILING.id}/stats")
THROTTLED = error("ProvisionedThroughputExceededException")


@pytest.fixture(autouse=True)
def nothing_known(built: Application) -> None:
    """Have the breaker read again: what the test before knew of it is good for a second."""
    for service in ("breaker", "explain_message"):
        built.__dict__.pop(service, None)


@pytest.fixture
def now() -> datetime:
    return utc_now()


def opened(now: datetime, **changes: Any) -> Breaker:  # noqa: ANN401 - facts by name
    moments = {"since": now - 9 * SECOND, "changed_at": now - SECOND, "probe_at": now + 40 * SECOND}
    breaker = Breaker(state=BreakerState.OPEN, cause=Cause.OUTAGE, probes=3, version=1, **moments)
    return replace(breaker, **changes)


def shown(api: Gateway) -> Any:  # noqa: ANN401 - an object or null
    """Read what each of the pages says of the provider: the same."""
    told = []
    for path in SHOWING:
        answer = api("GET", path)
        assert answer.status == 200, answer.text
        told.append(answer.json["provider"])
    assert told == [told[0]] * len(SHOWING)
    return told[0]


@contextmanager
def control_unreadable() -> Iterator[None]:
    client, table = ControlItem._get_connection().connection.client, ControlItem.Meta.table_name
    with without_transport_retries(client, "GetItem"), answered(client, "GetItem", *[THROTTLED] * 100, table=table):
        yield


@pytest.mark.parametrize("cause", Cause)
def test_an_open_breaker_is_shown_with_its_cause_and_the_next_probe(
    api: Gateway, built: Application, now: datetime, cause: Cause
) -> None:
    built.mailings.create(MAILING)
    built.control.change_breaker(opened(now, cause=cause))
    assert shown(api) == {
        "state": "open",
        "cause": cause.value,
        "since": write_moment(now - 9 * SECOND),
        "next_probe_at": write_moment(now + 40 * SECOND),
        "slowed_until": None,
    }


def test_while_a_probe_is_on_its_way_the_breaker_is_half_open(api: Gateway, built: Application, now: datetime) -> None:
    built.mailings.create(MAILING)
    built.control.change_breaker(opened(now, state=BreakerState.HALF_OPEN))
    assert shown(api)["state"] == "half_open"
    assert shown(api)["since"] == write_moment(now - 9 * SECOND)


def test_a_pause_that_the_provider_asked_for_is_shown_with_its_end(
    api: Gateway, built: Application, now: datetime
) -> None:
    built.mailings.create(MAILING)
    built.control.change_breaker(Breaker(slowed_until=now + 3 * SECOND, version=1))
    assert shown(api) == {
        "state": "closed",
        "cause": None,
        "since": None,
        "next_probe_at": None,
        "slowed_until": write_moment(now + 3 * SECOND),
    }


def test_a_breaker_that_cannot_be_read_is_null_and_everything_else_is_answered(
    api: Gateway, built: Application, now: datetime
) -> None:
    built.mailings.create(MAILING)
    built.control.change_breaker(opened(now))
    with control_unreadable():
        assert shown(api) is None
        assert api("GET", "/health").json == {"status": "ok", "provider": None}
        assert api("GET", f"/mailings/{MAILING.id}/stats").json["mailing"]["id"] == MAILING.id


def test_a_breaker_that_was_known_and_cannot_be_read_any_more_is_null(
    api: Gateway, built: Application, now: datetime
) -> None:
    built.mailings.create(MAILING)
    built.control.change_breaker(opened(now))
    assert shown(api)["state"] == "open"
    moment = now
    built.breaker._clock = lambda: moment
    moment += HOUR
    with control_unreadable():
        assert shown(api) is None
    moment += HOUR
    assert shown(api)["state"] == "open"


def explained(api: Gateway, built: Application, now: datetime) -> Any:  # noqa: ANN401 - the explanation
    """Explain a queued message of a mailing that runs."""
    running = mailing(status=MailingStatus.RUNNING, start_at=now - HOUR, end_at=now + HOUR, message_shards=4)
    built.mailings.create(running)
    built.clients.create(client())
    planned = message(mailing_shard=f"{running.id}#00", lease_until=UNLEASED, due_at=now + HOUR)
    (row,) = built.messages.plan(running, [planned])
    answer = api("GET", f"/messages/{row.id}/explain")
    assert answer.status == 200, answer.text
    return answer.json


@pytest.mark.parametrize(("cause", "word"), [(Cause.OUTAGE, "is down"), (Cause.TOKEN, "refuses our token")])
def test_a_message_waits_for_the_next_probe_of_a_provider_that_is_down(
    api: Gateway, built: Application, now: datetime, cause: Cause, word: str
) -> None:
    breaker = opened(now, cause=cause)
    built.control.change_breaker(breaker)
    told = explained(api, built, now)
    assert (told["next"], told["next_at"]) == ("wait", write_moment(now + 40 * SECOND))
    assert told["explanation"].startswith(f"The provider {word} since {now - 9 * SECOND:%Y-%m-%d %H:%M:%S} UTC")
    assert f"tried again at {now + 40 * SECOND:%Y-%m-%d %H:%M:%S} UTC" in told["explanation"]
    assert told["facts"]["provider_down_since"] == write_moment(now - 9 * SECOND)


def test_a_message_waits_until_the_pause_is_over_that_the_provider_asked_for(
    api: Gateway, built: Application, now: datetime
) -> None:
    built.control.change_breaker(Breaker(slowed_until=now + 40 * SECOND, version=1))
    told = explained(api, built, now)
    assert (told["next"], told["next_at"]) == ("wait", write_moment(now + 40 * SECOND))
    assert told["explanation"].startswith("The provider asked for a pause: no request before ")
    assert told["facts"]["provider_down_since"] is None


def test_a_message_is_explained_although_the_breaker_cannot_be_read(
    api: Gateway, built: Application, now: datetime
) -> None:
    built.control.change_breaker(opened(now))
    with control_unreadable():
        told = explained(api, built, now)
    assert told["next"] == "send"
    assert told["facts"]["provider_down_since"] is None
