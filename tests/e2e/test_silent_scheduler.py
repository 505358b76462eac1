"""LocalStack's scheduler takes schedules and never fires one. The dispatcher's minute starts mailings there."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.conftest import StartStack
from tests.e2e.steps import (
    assert_counters_equal_recount,
    change,
    control,
    create_mailing,
    finished,
    load_clients,
    rows,
    statistics_of,
)
from tests.running_stack import RunningStack
from tests.silent_scheduler import SilentScheduler, silent_scheduler

pytestmark = pytest.mark.of_lambda("the host's clock asks no scheduler")

CLIENTS = 30
SOON = timedelta(seconds=12)
DISPATCHER_SECONDS = 60
RULE_SECONDS = 10  # by so much the emulator's rules are late


@pytest.fixture(scope="module")
def scheduler() -> Iterator[SilentScheduler]:
    with silent_scheduler() as running:
        yield running


@pytest.fixture(scope="module")
def stack(start_stack: StartStack, scheduler: SilentScheduler) -> RunningStack:
    return start_stack(emulator={"AWS_ENDPOINT_URL_SCHEDULER": scheduler.url})  # which its functions inherit


def test_dispatcher_starts_within_its_minute_what_no_schedule_starts(
    stack: RunningStack, scheduler: SilentScheduler
) -> None:
    for tag in ("plain", "moved here", "moved away", "called off"):
        load_clients(stack, CLIENTS, tag)
    soon = (datetime.now(UTC) + SOON).replace(microsecond=500_000)
    late = soon + timedelta(hours=1)
    end_at = late + timedelta(hours=1)
    plain = create_mailing(stack, "plain", start_at=soon, end_at=end_at)
    moved_here = create_mailing(stack, "moved here", start_at=late, end_at=end_at)
    change(stack, moved_here, start_at=soon.isoformat())
    moved_away = create_mailing(stack, "moved away", start_at=soon, end_at=end_at)
    change(stack, moved_away, start_at=late.isoformat())
    called_off = create_mailing(stack, "called off", start_at=soon, end_at=end_at)
    control(stack, called_off, "cancel")
    accepted = {name: scheduler.expression(name) for name in (plain, moved_here, moved_away)}

    for mailing_id in (plain, moved_here):
        statistics = finished(stack, mailing_id, deadline_seconds=DISPATCHER_SECONDS + RULE_SECONDS + 40)

        assert statistics["messages"] == statistics["messages"] | {"sent": CLIENTS, "total": CLIENTS}
        began = datetime.fromisoformat(statistics["first_sent_at"])
        assert soon <= began <= soon + timedelta(seconds=DISPATCHER_SECONDS + RULE_SECONDS + 5)
        assert_counters_equal_recount(stack, mailing_id)
    assert accepted[plain] == accepted[moved_here] == f"at({soon + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S})"
    assert accepted[moved_away] == f"at({late + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S})"
    assert called_off not in scheduler.schedules
    for mailing_id, status in ((moved_away, "scheduled"), (called_off, "cancelled")):
        assert statistics_of(stack, mailing_id)["mailing"]["status"] == status
        assert rows(stack, mailing_id) == []
    received = stack.received()
    assert (received["requests"], received["unique"], received["duplicates"]) == (2 * CLIENTS, 2 * CLIENTS, 0)
