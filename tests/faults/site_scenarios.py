"""What users and the world do to a deployment, so that every call of AWS comes about: small parts, each audited."""

import json
from collections.abc import Callable
from datetime import timedelta

from tests.faults.auditor import Audit
from tests.faults.in_process import PREFIX, SENDER
from tests.faults.own_provider import BUSY, OK
from tests.faults.sensible_user import TRIES, ZONE, User, at
from tests.running_stack import poll

Scenario = Callable[[User], list[Audit]]
REFUSED = 400
LARGE = 6  # above EXPRESS_MAX_CLIENTS of these deployments
CANCELLED = frozenset({"cancelled"})
MANY = 1025  # members in one partition: more than a page of those who count them
A_MEMBER = {"operator_code": {"S": "916"}, "tag": {"S": "b"}, "timezone": {"S": "+00:00"}}


def clients_come_and_go(user: User) -> list[Audit]:
    """Create, change, list and delete clients; the audience is read by a mailing of one tag."""
    stays, moves, calls, goes = user.add_clients(4)
    user.ask("PATCH", f"/clients/{moves}", {"tag": "b"})
    user.ask("PATCH", f"/clients/{calls}", {"phone": "79170000000"})
    user.delete(f"/clients/{goes}")
    comes_back = user.add_client(user.phones[3], "a")
    assert {one["id"] for one in user.all_of("/clients?tag=a")} == {stays, calls, comes_back}
    assert [one["id"] for one in user.all_of("/clients?operator_code=917")] == [calls]
    assert [one["id"] for one in user.all_of("/clients?phone=79170000000")] == [calls]
    assert user.all_of(f"/clients?phone={user.phones[2]}") == []
    assert user.ask("GET", f"/clients/{moves}")["tag"] == "b"
    user.clients = dict.fromkeys([stays, calls, comes_back], user.clients[stays])
    return [user.ended(user.mail(filter={"tags": ["a"]}))]


def asked_with_keys(user: User) -> list[Audit]:
    """Create with idempotency keys, and repeat whatever was not answered: there is one of each."""
    start_at = user.deployment.clock()
    end_at = start_at + timedelta(hours=6)
    body = {"phone": "79180000000", "tag": "a", "timezone": ZONE}
    client = user.ask_with_key("/clients", body)["id"]
    user.ask_with_key("/clients", body, wanted=409)
    asked = {"start_at": start_at.isoformat(), "end_at": end_at.isoformat(), "text": "Hello"}
    mailing = user.ask_with_key("/mailings", asked)["id"]
    assert [one["id"] for one in user.all_of("/clients")] == [client]
    assert [one["id"] for one in user.all_of("/mailings")] == [mailing]
    user.clients[client] = ZONE
    return [user.ended(mailing)]


def small_mailing(user: User) -> list[Audit]:
    """Plan at once; refused messages, and their retry; everything that reads."""
    first, *_ = user.add_clients(3)
    refused = int(user.phones[0])
    user.deployment.provider.status = lambda phone, number: REFUSED if phone == refused and number == 1 else OK
    mailing = user.mail()
    audits = [user.ended(mailing, ends=frozenset({"sent", "failed.refused"}))]
    assert {row["client_id"] for row in user.all_of(f"/mailings/{mailing}/messages?status=failed")} == {first}
    user.control(mailing, "retry", "running")
    audits.append(user.ended(mailing))
    (row,) = user.all_of(f"/clients/{first}/messages")
    assert user.ask("GET", f"/messages/{row['id']}")["attempts"] == 2
    user.ask("GET", f"/messages/{row['id']}/explain")
    assert [one["id"] for one in user.all_of("/mailings?status=finished")] == [mailing]
    statistics = user.ask("GET", f"/mailings/{mailing}/stats")
    assert (statistics["messages"]["sent"], statistics["attempts"]) == (3, 4)
    assert user.ask("GET", "/stats")["totals"]["sent"] == 3
    return audits


def large_mailing(user: User) -> list[Audit]:
    """Plan by segments; a provider that is busy at first, a ticket that comes twice, functions without time."""
    user.add_clients(LARGE)
    busy = int(user.phones[0])
    user.deployment.provider.status = lambda phone, number: BUSY if phone == busy and number == 1 else OK
    mailing = user.mail()
    user.deployment.start()
    user.deployment.work_once("plan", seconds=3)
    user.deployment.work_once("plan")
    user.deployment.work_once("send", seconds=3)
    user.deployment.work()
    if ids := [row["id"] for row in user.rows(mailing)]:
        user.deployment.queues["send"].put(json.dumps({"v": 1, "mailing_id": mailing, "message_ids": ids}))
    return [user.ended(mailing)]


def mailing_of_the_future(user: User) -> list[Audit]:
    """A draft that is changed, started, and changed again; the planner is called early, then by its schedule."""
    user.add_clients(2)
    mailing = user.mail(after=timedelta(hours=1), draft=True)
    start_at = user.deployment.clock() + timedelta(hours=2)
    user.change(mailing, start_at=start_at.isoformat())
    user.control(mailing, "start", "scheduled")
    user.change(mailing, start_at=(start_at + timedelta(hours=1)).isoformat(), text="Hello again")
    user.deployment.call_planner({"mailing_id": mailing})
    user.deployment.minute(60)
    assert user.state_of(mailing) == "scheduled"
    user.deployment.minute(125)
    return [user.ended(mailing)]


def lost_start(user: User) -> list[Audit]:
    """The call of the planner is lost; the user asks for what is due."""
    user.add_clients(2)
    user.deployment.loses_starts = True
    mailing = user.mail()
    user.deployment.loses_starts = False
    user.ask("POST", "/mailings/process", wanted=202)
    return [user.ended(mailing)]


def window_opens(user: User) -> list[Audit]:
    """Put off until the window opens."""
    user.add_clients(2)
    now = user.deployment.clock()
    window = {"from": at(now + timedelta(hours=1)), "to": at(now + timedelta(hours=4))}
    mailing = user.mail(window=window)
    user.deployment.work()
    assert user.deployment.provider.seen == []
    user.deployment.heal(until=lambda: {row["status"] for row in user.rows(mailing)} == {"deferred"})
    user.deployment.minute(65)
    return [user.ended(mailing)]


def window_taken_away(user: User) -> list[Audit]:
    """Put off until the window opens, which is then taken away: the rows follow by sweep."""
    user.add_clients(LARGE)
    now = user.deployment.clock()
    mailing = user.mail(window={"from": at(now + timedelta(hours=2)), "to": at(now + timedelta(hours=3))})
    user.deployment.work()
    user.change(mailing, window=None, end_at=(now + timedelta(hours=5)).isoformat())
    return [user.ended(mailing)]


def paused_and_resumed(user: User) -> list[Audit]:
    """Pause while messages wait for a retry, change the text, resume."""
    user.add_clients(3)
    user.deployment.provider.status = lambda _phone, number: BUSY if number == 1 else OK
    mailing = user.mail()
    user.deployment.heal(until=lambda: user.state_of(mailing) == "running")
    user.control(mailing, "pause", "paused")
    user.deployment.minute()
    seen = len(user.deployment.provider.seen)
    user.change(mailing, text="Hello again")
    user.deployment.minute(3)
    assert len(user.deployment.provider.seen) == seen, "requests during a pause"
    user.control(mailing, "resume", "running", "finished")
    return [user.ended(mailing)]


def called_off(user: User) -> list[Audit]:
    """Cancel a mailing that runs, and one that has not started."""
    user.add_clients(3)
    user.deployment.provider.status = lambda _phone, _number: BUSY
    mailing = user.mail(lasting=timedelta(hours=2))
    user.deployment.heal(until=lambda: len(user.rows(mailing)) == 3)
    user.control(mailing, "cancel", "cancelled")
    audits = [user.ended(mailing, status="cancelled", ends=CANCELLED)]
    user.clients = {}
    future = user.mail(after=timedelta(hours=1))
    user.control(future, "cancel", "cancelled")
    user.deployment.minute(65)
    return [*audits, user.stands(future, status="cancelled")]


def deleted_mailing(user: User) -> list[Audit]:
    """Delete a mailing that runs."""
    user.add_clients(LARGE)
    user.deployment.provider.status = lambda _phone, _number: BUSY
    mailing = user.mail(lasting=timedelta(hours=2))
    user.deployment.heal(until=lambda: len(user.rows(mailing)) == LARGE)
    user.delete(f"/mailings/{mailing}")
    assert user.all_of("/mailings") == []
    return [user.ended(mailing, status="deleted", ends=CANCELLED)]


def deleted_client(user: User) -> list[Audit]:
    """Delete a client whose message waits for a retry."""
    gone, *_ = user.add_clients(2)
    busy = int(user.phones[0])
    user.deployment.provider.status = lambda phone, _number: BUSY if phone == busy else OK
    mailing = user.mail()
    user.deployment.heal(until=lambda: len(user.rows(mailing)) == 2)
    user.delete(f"/clients/{gone}")
    return [user.ended(mailing, ends=frozenset({"sent", "cancelled"}))]


def lost_tickets(user: User) -> list[Audit]:
    """All tickets are lost; the dispatcher looks at segments and rows, and somebody at a message that nobody sends."""
    user.add_clients(LARGE)
    mailing = user.mail()
    user.deployment.start()
    user.deployment.queues["plan"].lose()
    user.deployment.clock.jump(timedelta(minutes=8))
    user.deployment.dispatch()
    while user.deployment.work_once("plan"):
        pass
    user.deployment.queues["send"].lose()
    for row in user.rows(mailing)[:1]:
        assert user.ask("GET", f"/messages/{row['id']}/explain")["facts"]["leased_until"] is None
    return [user.ended(mailing)]


def clock_that_jumps(user: User) -> list[Audit]:
    """The clock jumps in the middle of a request: leases are over, and functions have no time left."""
    user.add_clients(LARGE)
    jumps = iter([timedelta(minutes=10), timedelta(seconds=40)])

    def answer(_phone: int, _number: int) -> int:
        user.deployment.clock.jump(next(jumps, timedelta()))
        return OK

    user.deployment.provider.status = answer
    return [user.ended(user.mail())]


def unreadable_tickets(user: User) -> list[Audit]:
    """Tickets that nobody can read are set aside with their cause; those of nothing do nothing."""
    user.add_clients(1)
    for queue in ("plan", "send"):
        user.deployment.queues[queue].put("no ticket")
    user.deployment.queues["send"].put(json.dumps({"v": 1, "mailing_id": "none", "message_ids": [1]}))
    user.deployment.queues["plan"].put(json.dumps({"v": 1, "mailing_id": "none", "segment": "plan#00"}))
    audits = [user.ended(user.mail())]
    user.deployment.minute(10)
    # A letter whose receipt was lost on its way stays hidden for as long as it would have been held.
    poll(lambda: _queues_with_letters(user), until=lambda queues: queues == {"plan", "send"}, deadline_seconds=60)
    user.ask("POST", "/dead-letters/redrive", {"queue": "send"}, wanted=202)
    user.deployment.minute(10)
    user.deployment.clock.at_each_look = timedelta(seconds=6)
    user.ask("POST", "/dead-letters/redrive", wanted=202)
    user.deployment.clock.at_each_look = timedelta()
    user.deployment.minute(10)
    for queue in ("plan", "send"):
        letters = poll(user.deployment.queues[queue].dead_letters, until=bool, deadline_seconds=60)
        assert {letter["Body"] for letter in letters} == {"no ticket"}
        assert all("unreadable" in letter["MessageAttributes"]["cause"]["StringValue"] for letter in letters)
    return audits


def _queues_with_letters(user: User) -> set[str]:
    return {letter["queue"] for letter in user.ask("GET", "/dead-letters")["items"]}


def outage(user: User) -> list[Audit]:
    """The provider is down, and one probe after the other finds it so, until it is back."""
    user.add_clients(LARGE)
    user.deployment.provider.status = lambda _phone, _number: 500
    mailing = user.mail()
    user.deployment.heal(until=lambda: _breaker_state(user) in {"open", "half_open"})
    user.deployment.minute()
    user.deployment.provider.status = lambda _phone, _number: OK
    return [user.ended(mailing)]


def _breaker_state(user: User) -> str | None:
    """Say what /health shows of the breaker; nothing while it cannot be read."""
    provider = user.ask("GET", "/health")["provider"]
    return str(provider["state"]) if provider else None


def pace_of_others(user: User) -> list[Audit]:
    """Other senders have reserved the next seconds of the provider's time."""
    user.add_clients(2)
    ahead = user.deployment.clock() + timedelta(seconds=3)
    item = {"name": {"S": "pace"}, "next_slot": {"N": str(int(ahead.timestamp() * 1_000_000))}}
    user.deployment.client("dynamodb").put_item(TableName=f"{PREFIX}-control", Item=item)
    return [user.ended(user.mail())]


def falsified_counters(user: User) -> list[Audit]:
    """Somebody writes a counter by hand; it is set right."""
    user.add_clients(2)
    mailing = user.mail()
    audits = [user.ended(mailing)]
    user.deployment.client("dynamodb").update_item(
        TableName=f"{PREFIX}-stats",
        Key={"mailing_id": {"S": mailing}, "counter": {"S": "total#00"}},
        UpdateExpression="ADD sent :three",
        ExpressionAttributeValues={":three": {"N": "3"}},
    )
    for _ in range(TRIES):
        answer = user.deployment.repair(mailing)
        if answer and answer["verdict"] == "right":
            break
    return [*audits, user.stands(mailing)]


def watched(user: User) -> list[Audit]:
    """Scrape metrics while a mailing is sent, and after the night: whatever fails, the others are told."""
    user.add_clients(LARGE)
    mailing = user.mail()
    user.deployment.start()
    user.deployment.work_once("plan")
    _scraped(user)
    audits = [user.ended(mailing)]
    user.deployment.clock.jump(timedelta(hours=25))
    user.deployment.night()
    _scraped(user)
    user.deployment.dispatch()
    return [*audits, user.stands(mailing)]


def _scraped(user: User) -> None:
    answer = user.deployment.request("GET", "/metrics")
    assert answer.status == OK
    assert "vestnik_source_up" in answer.text


def opted_out(user: User) -> list[Audit]:
    """Somebody opts out while the message waits for a retry, another before there is a client; one comes back."""
    _, gone, *_ = user.add_clients(LARGE)
    phone, nobodys = user.phones[1], "79990000000"
    user.deployment.provider.status = lambda to, _number: BUSY if to == int(phone) else OK
    mailing = user.mail()
    user.deployment.heal(until=lambda: len(user.rows(mailing)) == LARGE)
    for each in (phone, nobodys):
        user.ask("POST", "/suppressions", {"phone": each}, wanted=201)
    audits = [user.ended(mailing, ends=frozenset({"sent", "cancelled.suppressed"}))]
    assert {row["client_id"] for row in user.rows(mailing) if row["reason"] == "suppressed"} == {gone}
    user.add_client(nobodys, "a")
    assert {each["phone"] for each in user.all_of("/suppressions")} == {phone, nobodys}
    assert _previewed(user) == (LARGE - 1, 2)
    user.delete(f"/suppressions/{phone}")
    assert _previewed(user) == (LARGE, 1)
    return audits


def _previewed(user: User, **changes: object) -> tuple[int, int]:
    """Preview a mailing; returns how many would get a message, and how many opted out."""
    now = user.deployment.clock()
    times = {"start_at": now.isoformat(), "end_at": (now + timedelta(hours=1)).isoformat()}
    told = user.ask("POST", "/mailings/preview", {**times, "text": "Hello", **changes})
    return told["audience"], told["suppressed"]


def previewed(user: User) -> list[Audit]:
    """Preview a mailing; then one so large that the time is over before a thousandth of it is read."""
    user.add_clients(3)
    assert _previewed(user) == (3, 0)
    audits = [user.ended(user.mail())]
    members = [
        {"PutRequest": {"Item": {"part": {"S": "tag#b#00"}, "client_id": {"S": f"{n:026d}"}, **A_MEMBER}}}
        for n in range(MANY)
    ]
    for start in range(0, MANY, 25):
        items = {f"{PREFIX}-audience": members[start : start + 25]}
        user.deployment.client("dynamodb").batch_write_item(RequestItems=items)
    user.deployment.clock.at_each_look = timedelta(seconds=10)
    assert _previewed(user, filter={"tags": ["b"]}) == (MANY * 32, 0)
    user.deployment.clock.at_each_look = timedelta()
    return audits


def tested(user: User) -> list[Audit]:
    """Send a draft to one client."""
    one, _ = user.add_clients(2)
    draft = user.mail(draft=True)
    message = user.ask(
        "POST",
        f"/mailings/{draft}/test",
        {"client_id": one},
        wanted=202,
        found=lambda: next(iter(user.all_of(f"/clients/{one}/messages")), None),
    )
    user.clients = {one: user.clients[one]}
    audits = [user.ended(message["mailing_id"])]
    assert [each["id"] for each in user.all_of("/mailings")] == [draft]
    return audits


def imported_clients(user: User) -> list[Audit]:
    """Clients from a file: of one upload the notice is lost, and a ticket is garbage."""
    user.add_clients(1, tag="b")
    path, content = _upload(
        user,
        "clients",
        "phone,timezone,tag",
        [*(f"7903000000{n},{ZONE},a" for n in range(3)), f"{user.phones[0]},{ZONE},a", "x,y,z"],
    )
    user.deployment.queues["import"].put("no json")
    user.deployment.queues["import"].put(
        json.dumps({"Records": [{"s3": {"object": {"key": path.rpartition("/")[2]}}}]})
    )
    user.deployment.work_once("import")
    lost, _ = _upload(user, "clients", "phone,timezone,tag", [f"7903000000{n},{ZONE},a" for n in range(2, 4)])
    user.deployment.heal(until=lambda: all(user.ask("GET", one)["finished_at"] for one in (path, lost)))
    done, other = (user.ask("GET", one) for one in (path, lost))
    assert (done["status"], other["status"]) == ("finished", "finished")
    assert done["progress"] | {"bytes": 0, "bytes_total": 0} == {
        "bytes": 0,
        "bytes_total": 0,
        "rows": 5,
        "created": 3,
        "changed": 1,
        "unchanged": 0,
        "refused": 1,
    }
    assert (other["progress"]["created"], other["progress"]["unchanged"]) == (1, 1)
    assert [row["line"] for row in done["refused_rows"]["items"]] == [6]
    assert len(content) == done["progress"]["bytes"]
    user.clients = dict.fromkeys([one["id"] for one in user.all_of("/clients?tag=a")], ZONE)
    assert len(user.clients) == 5
    return [user.ended(user.mail())]


def imported_suppressions(user: User) -> list[Audit]:
    """Who opted out, from a file: somebody whose message waits for a retry, and a phone that is suppressed already."""
    user.add_clients(2)
    phone, nobodys = user.phones[1], "79990000000"
    user.deployment.provider.status = lambda to, _number: BUSY if to == int(phone) else OK
    mailing = user.mail()
    user.deployment.heal(until=lambda: len(user.rows(mailing)) == len(user.phones))
    user.ask("POST", "/suppressions", {"phone": nobodys}, wanted=201)
    path, _ = _upload(user, "suppressions", "phone", [phone, nobodys, "x"])
    user.deployment.heal(until=lambda: user.ask("GET", path)["finished_at"])
    progress = user.ask("GET", path)["progress"]
    assert (progress["created"], progress["unchanged"], progress["refused"]) == (1, 1, 1)
    assert {each["phone"] for each in user.all_of("/suppressions")} == {phone, nobodys}
    return [user.ended(mailing, ends=frozenset({"sent", "cancelled.suppressed"}))]


def _upload(user: User, kind: str, columns: str, rows: list[str]) -> tuple[str, bytes]:
    """Begin an import and upload its file; nobody is told. Returns its path, and the file."""
    created = user.ask("POST", f"/{kind}/imports", wanted=201)
    content = "\n".join([columns, *rows]).encode()
    user.deployment.client("s3").put_object(Bucket=PREFIX, Key=created["id"], Body=content)
    return f"/{kind}/imports/{created['id']}", content


def looked_after(user: User) -> list[Audit]:
    """Somebody looks how it goes, who did it, and what functions said; a mailing goes on from one day to the next."""
    user.add_clients(1)
    user.deployment.provider.status = lambda _phone, number: BUSY if number == 1 else OK
    mailing = user.mail(lasting=timedelta(days=2))
    user.deployment.work()
    assert "<h1>" in user.look("")
    user.deployment.clock.jump(timedelta(days=1))
    assert f"mailings/{mailing}" in user.look("")
    assert {entry["action"] for entry in user.all_of("/audit")} >= {"POST /clients", "POST /mailings"}
    assert f"mailings/{mailing}" in user.look(f"mailings/{mailing}/journal")
    return [user.ended(mailing)]


def daily_report(user: User) -> list[Audit]:
    """Send the report of the day before: the sender is unknown at first, and the schedule goes on coming."""
    user.add_clients(2)
    audits = [user.ended(user.mail())]
    now, ses = user.deployment.clock(), user.deployment.client("ses")
    morning = now.replace(hour=9, minute=0) + timedelta(days=1)
    user.deployment.minute((morning - now) // timedelta(minutes=1))
    ses.delete_identity(Identity=SENDER)
    before = len(user.deployment.mails())
    user.deployment.report()
    assert len(user.deployment.mails()) == before
    ses.verify_email_identity(EmailAddress=SENDER)
    for _ in range(TRIES):
        if user.deployment.report() == "sent before, or being sent" and len(user.deployment.mails()) > before:
            break
        user.deployment.minute(15)
    sent = user.deployment.mails()[before:]
    assert 1 <= len(sent) <= 1 + user.deployment.wire.struck, f"{len(sent)} mails of one day"
    return audits


SCENARIOS: tuple[Scenario, ...] = (
    looked_after,
    watched,
    opted_out,
    previewed,
    tested,
    clients_come_and_go,
    asked_with_keys,
    small_mailing,
    large_mailing,
    mailing_of_the_future,
    lost_start,
    window_opens,
    window_taken_away,
    paused_and_resumed,
    called_off,
    deleted_mailing,
    deleted_client,
    lost_tickets,
    clock_that_jumps,
    unreadable_tickets,
    outage,
    pace_of_others,
    falsified_counters,
    imported_clients,
    imported_suppressions,
    daily_report,
)
