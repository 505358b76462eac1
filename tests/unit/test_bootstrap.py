from collections.abc import Iterator
from functools import cached_property

import pytest

from chalicelib.adapters import tables
from chalicelib.bootstrap import Application
from chalicelib.config import Settings
from tests.builders import NOW, mailing
from tests.fakes.clock import FakeClock
from tests.settings import ENVIRONMENT

PARTS = sorted(name for name, value in vars(Application).items() if isinstance(value, cached_property))


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    yield Application(Settings.from_env(ENVIRONMENT))
    tables.bind("unbound")


@pytest.mark.parametrize("part", PARTS)
def test_every_part_can_be_built_by_itself_and_once(application: Application, part: str) -> None:
    built = getattr(application, part)

    assert built is not None
    assert getattr(application, part) is built


def test_no_part_asks_another_clock_than_the_one_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    application = Application(Settings.from_env(ENVIRONMENT), FakeClock(NOW))
    try:
        clocks = {part: clock for part in PARTS if (clock := getattr(getattr(application, part), "clock", None))}
    finally:
        tables.bind("unbound")

    assert {"control_mailings", "dispatch_due", "plan_segment", "send_messages"} <= clocks.keys()
    assert {part: clock() for part, clock in clocks.items()} == dict.fromkeys(clocks, NOW)
    assert application.cached_mailings._clock() == NOW


def test_where_a_clock_starts_mailings_there_are_no_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    application = Application(Settings.from_env(ENVIRONMENT | {"MAILINGS_STARTED_BY": "clock"}))
    tables.bind("unbound")

    # It knows nothing of AWS, and so does nothing there.
    assert vars(application.scheduler) == {}
    application.scheduler.put(mailing())
    application.scheduler.start_now("m")
    application.scheduler.remove("m")
