"""The scenarios: each wounds the service in one way, lets it heal, and has the auditor look.

A scenario takes the ground and returns its audit; it raises `MissingError` if what it waits for does not come.
"""

import json
import operator
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

from tests.e2e.steps import create_mailing, drained, has_schedule, send, statistics_of
from tests.faults.auditor import Audit, audit, read_log, read_tables
from tests.faults.ground import CROWD, LATE_ZONE, SHUT_FOR, Ground, last

ALL_LOG = 100_000
FULL_SECONDS = 8.0  # of misbehaviour in every answer, before it is a share of answers
SHARE = 0.3
KILLS = 40
KILL_SECONDS = 75.0  # too short for one row to lose five senders, which would end it failed(crash)
RESTARTS = 2
PURGE_SECONDS = 10.0
SECRET_GONE_SECONDS = 10.0
KILLED = ("planner", "plan-segment", "sender", "dispatcher")
IDS_A_TICKET = 24

SENT = frozenset({"sent"})


@dataclass(frozen=True, slots=True)
class Scenario:
    """A name for the table, and what happens; `short` ones play in `make test`."""

    name: str
    play: Callable[[Ground], Audit]
    short: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """A way in which the provider misbehaves: all answers for a time, then `SHARE` of them, if it comes in shares."""

    behaviour: Callable[[], Mapping[str, object]]
    in_shares: bool = True
    ends: frozenset[str] = SENT
    on_uncertain: str = "retry"


def provider_misbehaves(ground: Ground, *, name: str, way: Way) -> Audit:
    """The provider misbehaves in every answer, then in a share of them, then it is well."""
    ground.stack.control(latency_ms=50, **way.behaviour())
    mailing_id = _begin(ground, on_uncertain=way.on_uncertain)
    ground.wait_for("a first request", lambda: _requests(ground), lambda number: number > 0)
    last(FULL_SECONDS)
    if way.in_shares:
        ground.stack.control(latency_ms=50, error_rate=SHARE, **way.behaviour())
        most = len(ground.clients) * 6 // 10
        ground.wait_for(f"{most} messages ended", lambda: _ended(ground, mailing_id), lambda number: number >= most)
    ground.stack.control()
    return _audited(ground, name, mailing_id, ends=way.ends)


def provider_misbehaves_until_the_end(ground: Ground, *, name: str) -> Audit:
    """The mailing ends while most requests fail and a zone's window is shut: what was not sent expires, in time."""
    ground.stack.control(latency_ms=500, status=503, error_rate=0.8)
    end_at = datetime.now(UTC) + timedelta(seconds=25)
    mailing_id = _begin(ground, end_at=end_at, opens_in=timedelta(hours=1))
    ends = {
        id_: frozenset({"expired"}) if zone == LATE_ZONE else frozenset({"sent", "expired"})
        for id_, zone in ground.clients.items()
    }
    return _audited(ground, name, mailing_id, ends=ends)


def functions_are_killed(ground: Ground, *, name: str, kills: int = KILLS) -> Audit:
    """Planners, senders and dispatchers are killed at random moments, while they plan and send."""
    ground.stack.control(latency_ms=1500)
    mailing_id = _begin(ground)
    until = time.monotonic() + KILL_SECONDS
    while len(ground.kills) < kills and time.monotonic() < until:
        if ground.kill_one(KILLED) and len(ground.kills) % 5 == 0:
            ground.let_time_pass(mailing_id)
        last(ground.chance.uniform(0.05, 1.0))
    ground.stack.control()
    ground.let_time_pass(mailing_id)
    return _audited(ground, name, mailing_id, faults=len(ground.kills))


def tickets_come_twice_and_in_disorder(ground: Ground, *, name: str) -> Audit:
    """Tickets of planning and sending come twice, in any order, and with others crafted from the rows."""
    stack = ground.stack
    stack.control(latency_ms=100)
    with ground.stopped("sender"):
        with ground.stopped("plan-segment"):
            mailing_id = _begin(ground)
            plan = _take_all(ground, "plan")
            extra = _give_twice(ground, "plan", plan)
        ground.wait_for("planning", lambda: _planned(ground, mailing_id), bool)
        tickets = _take_all(ground, "send")
        ids = [row.id for row in read_tables(ground.dynamodb, stack.info.stack_name, mailing_id).rows]
        ground.chance.shuffle(ids)
        crafted = [json.dumps({"v": 1, "mailing_id": mailing_id, "message_ids": few}) for few in _tickets(ids)]
        extra += _give_twice(ground, "send", tickets + crafted) + len(crafted)
    for body in crafted:
        send(stack, "express", json.loads(body))
    result = _audited(ground, name, mailing_id, faults=extra + len(crafted))
    drained(stack)
    again = _audited(ground, name, mailing_id, faults=result.faults)  # tickets that outlive the mailing change nothing
    return max(result, again, key=lambda one: len(one.findings))


def queues_are_purged(ground: Ground, *, name: str) -> Audit:
    """All tickets are lost, again and again, while the mailing is planned and sent."""
    ground.stack.control(latency_ms=100, status=503, error_rate=0.6)
    mailing_id = _begin(ground)
    purges = 0
    until = time.monotonic() + PURGE_SECONDS
    while time.monotonic() < until:
        for queue in ("plan", "send"):
            ground.purge(queue)
            purges += 1
    ground.stack.control()
    ground.let_time_pass(mailing_id)
    return _audited(ground, name, mailing_id, faults=purges)


def schedule_is_deleted(ground: Ground, *, name: str) -> Audit:
    """Nothing calls the planner: the schedule of a future mailing is gone."""
    ground.stack.control()
    mailing_id = _begin(ground, start_at=datetime.now(UTC) + timedelta(seconds=5))
    ground.stack.client("scheduler").delete_schedule(GroupName=ground.stack.info.stack_name, Name=mailing_id)
    if has_schedule(ground.stack, mailing_id):
        raise AssertionError("the schedule was to be deleted")
    return _audited(ground, name, mailing_id, faults=1)


def emulator_restarts(ground: Ground, *, name: str) -> Audit:
    """Everything that runs is ended in the middle of the mailing, and comes back with its data."""
    ground.stack.control(latency_ms=1000)
    mailing_id = _begin(ground)
    for _ in range(RESTARTS):
        enough = partial(operator.le, _requests(ground) + 20)
        ground.wait_for("20 requests", lambda: _requests(ground), enough)
        ground.restart_emulator()
    ground.stack.control()
    return _audited(ground, name, mailing_id, faults=len(ground.kills))


def secret_cannot_be_read(ground: Ground, *, name: str) -> Audit:
    """The provider's token cannot be read for some seconds, by senders that have none in memory."""
    ground.stack.control(latency_ms=50)
    secrets = ground.stack.client("secretsmanager")
    secret = f"{ground.stack.info.stack_name}/provider-token"
    secrets.delete_secret(SecretId=secret, RecoveryWindowInDays=7)
    try:
        while ground.kill_one(["sender"]):
            pass  # idle ones, which remember the token; this mailing's begin without it
        mailing_id = _begin(ground)
        ground.wait_for("a message without a token", lambda: _without_token(ground, mailing_id), bool)
        last(SECRET_GONE_SECONDS)
    finally:
        secrets.restore_secret(SecretId=secret)
    faults = _without_token(ground, mailing_id)
    return _audited(ground, name, mailing_id, faults=faults)


def _begin(ground: Ground, *, opens_in: timedelta = timedelta(seconds=15), **fields: Any) -> str:  # noqa: ANN401
    """Create a mailing to the crowd, its window shut for the late zone until the first minute after `opens_in`."""
    ground.stack.forget_received()
    ground.kills.clear()
    behind = timedelta(hours=int(LATE_ZONE[1:3]), minutes=int(LATE_ZONE[4:]))
    opens_at = datetime.now(UTC) - behind + opens_in + timedelta(seconds=59)
    window = {"from": f"{opens_at:%H:%M}", "to": f"{opens_at - SHUT_FOR:%H:%M}"}
    return create_mailing(ground.stack, CROWD, window=window, **fields)


def _audited(
    ground: Ground,
    name: str,
    mailing_id: str,
    *,
    faults: int = 0,
    ends: frozenset[str] | Mapping[str, frozenset[str]] = SENT,
) -> Audit:
    """Wait until the mailing finishes by itself, then recount it; misbehaved answers add to `faults`."""
    ground.wait_for(
        f"the end of mailing {mailing_id}",
        lambda: statistics_of(ground.stack, mailing_id),
        lambda statistics: statistics["mailing"]["status"] == "finished",
        deadline_seconds=240,
    )
    stored = read_tables(ground.dynamodb, ground.stack.info.stack_name, mailing_id)
    requests = read_log(ground.stack.received(limit=ALL_LOG)["last"])
    return audit(
        name,
        mailing=stored.mailing,
        clients=ground.clients,
        rows=stored.rows,
        counters=stored.counters,
        requests=requests,
        faults=faults + sum(request.misbehaved for request in requests),
        ends=ends,
        kills=ground.kills,
    )


def _requests(ground: Ground) -> int:
    return int(ground.stack.received(limit=0)["requests"])


def _ended(ground: Ground, mailing_id: str) -> int:
    counts = statistics_of(ground.stack, mailing_id)["messages"]
    return int(counts["total"] - counts["queued"] - counts["deferred"])


def _planned(ground: Ground, mailing_id: str) -> bool:
    return statistics_of(ground.stack, mailing_id)["planning"]["planned_at"] is not None


def _without_token(ground: Ground, mailing_id: str) -> int:
    return read_tables(ground.dynamodb, ground.stack.info.stack_name, mailing_id).counters.get("error.no_token", 0)


def _take_all(ground: Ground, queue: str) -> list[str]:
    """Take a queue's tickets, waiting for the first and then until no more come for 2 s."""
    sqs, url = ground.stack.client("sqs"), ground.stack.queue_url(queue)
    bodies: list[str] = []

    def take() -> int:
        letters = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages", [])
        for letter in letters:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
            bodies.append(letter["Body"])
        return len(letters)

    ground.wait_for(f"the last ticket in the {queue} queue", take, lambda taken: not taken and bool(bodies))
    return bodies


def _give_twice(ground: Ground, queue: str, bodies: list[str]) -> int:
    """Send each ticket twice, in any order; return how many are too many."""
    twice = bodies * 2
    ground.chance.shuffle(twice)
    for body in twice:
        send(ground.stack, queue, json.loads(body))
    return len(bodies)


def _in_some_seconds() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=5), usegmt=True)


WAYS = {
    "500": Way(lambda: {"status": 500}),
    "503": Way(lambda: {"status": 503}),
    "429, seconds": Way(lambda: {"status": 429, "retry_after": 3}),
    "429, date": Way(lambda: {"status": 429, "retry_after": _in_some_seconds()}),
    "401": Way(lambda: {"status": 401}),
    "400": Way(lambda: {"status": 400}, ends=frozenset({"sent", "failed.refused"})),
    "other code": Way(lambda: {"body": {"code": 17, "message": "no"}}),
    "no JSON": Way(lambda: {"body": "<html>OK</html>"}),
    "huge body": Way(lambda: {"body": "x" * 300_000}),
    "redirect": Way(lambda: {"status": 302}),
    "reset before": Way(lambda: {"drop": "before"}),
    "reset after": Way(lambda: {"drop": "after"}),
    "half an answer": Way(lambda: {"drop": "half"}),
    "half, on hold": Way(lambda: {"drop": "half"}, ends=frozenset({"sent", "failed.uncertain"}), on_uncertain="hold"),
    "hang": Way(lambda: {"hang_s": 30}, in_shares=False),
    "slow drip": Way(lambda: {"drip_s": 30}),
}
_SHORT = {"503"}


def _scenario(name: str, play: Callable[..., Audit], *, short: bool = False, **how: object) -> Scenario:
    return Scenario(name, partial(play, name=name, **how), short)


SCENARIOS = (
    *(_scenario(name, provider_misbehaves, short=name in _SHORT, way=way) for name, way in WAYS.items()),
    _scenario("503 until the end", provider_misbehaves_until_the_end),
    _scenario("functions killed", functions_are_killed),
    _scenario("tickets doubled", tickets_come_twice_and_in_disorder),
    _scenario("queues purged", queues_are_purged),
    _scenario("schedule deleted", schedule_is_deleted),
    _scenario("emulator restarted", emulator_restarts),
    _scenario("secret unreadable", secret_cannot_be_read),
)


def _tickets(ids: list[int]) -> list[list[int]]:
    return [ids[start : start + IDS_A_TICKET] for start in range(0, len(ids), IDS_A_TICKET)]
