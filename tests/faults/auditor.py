"""The auditor: recounts a mailing from what the provider saw and what the tables hold, and trusts nobody.

It shares no rule with the application. Windows in particular are computed here once more, by the clock on the wall:
`[from, to)` of the local time that a client's zone shows. (Where a clock is set back within a window the two differ
on purpose of that simplicity: audit no mailing across such an hour.)
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

LAST_START = timedelta(seconds=1)  # no request starts within it before the end
# A request is over after 10 s and its outcome is recorded within 2 s more: only a kill in that time can repeat it.
UNRECORDED = timedelta(seconds=12)
LOGGED_AFTER = timedelta(seconds=0.5)  # what the dead had written to a socket, a busy provider reads a little later
ENDED = frozenset({"sent", "failed", "expired", "cancelled"})
SHOWN = 3  # findings told of each kind


@dataclass(frozen=True, slots=True)
class AuditedMailing:
    """What was asked for. `window`: local times `HH:MM`, from and to. `repeats_uncertain`: `on_uncertain` is retry."""

    id: str
    status: str
    end_at: datetime
    window: tuple[str, str] | None
    repeats_uncertain: bool = True


@dataclass(frozen=True, slots=True)
class AuditedRow:
    """What the messages table says of one client."""

    id: int
    client_id: str
    status: str
    reason: str | None = None
    attempts: int = 0
    uncertain: int = 0

    @property
    def end(self) -> str:
        """Name where it stands with its reason: `sent`, `failed.refused`."""
        return f"{self.status}.{self.reason}" if self.reason else self.status


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """What the provider says of one request; `misbehaved` if its answer was not a plain success in time."""

    id: int | None
    started_at: datetime
    accepted: bool
    misbehaved: bool = False


@dataclass(frozen=True, slots=True)
class Audit:
    """What came of a scenario: how often each promise was broken, and `findings` in words.

    `lost`: members of the audience who have no row, rows that did not end or ended as the scenario does not expect,
    rows `sent` that the provider never accepted. `repeated`: messages accepted again, rows beyond one a client, and
    accepted ids of no row; `repeated_allowed`: accepted again after an uncertain answer or a kill, as promised.
    `late`: requests begun within a second of the end or later. `outside`: begun outside the client's window.
    `drift`: by how much counters differ from a recount of rows.
    """

    scenario: str
    faults: int
    lost: int
    repeated: int
    repeated_allowed: int
    late: int
    outside: int
    drift: int
    findings: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """Tell whether every promise was kept."""
        return not (self.lost or self.repeated or self.late or self.outside or self.drift)


def audit(
    scenario: str,
    *,
    mailing: AuditedMailing,
    clients: Mapping[str, str],
    rows: Sequence[AuditedRow],
    counters: Mapping[str, int],
    requests: Iterable[SeenRequest],
    faults: int,
    ends: Mapping[str, frozenset[str]] | frozenset[str] = frozenset({"sent"}),
    kills: Sequence[datetime] = (),
) -> Audit:
    """Recount one mailing.

    Args:
        scenario: its name.
        mailing: as the table has it at the end.
        clients: the whole audience; id -> time zone, an IANA name or `±HH:MM`.
        rows: all rows of the mailing.
        counters: the mailing's totals, added up over their shards.
        requests: all requests of this mailing that the provider saw, and no others.
        faults: how many the mailing survived.
        ends: where rows may end, as `AuditedRow.end` names it: for all, or by client (others: `sent` only).
        kills: moments at which senders were killed, or writes of theirs lost.
    """
    seen = sorted(requests, key=lambda request: request.started_at)
    found = {
        "lost": list(_lost(mailing, clients, rows, seen, ends)),
        "repeated": list(_strangers(clients, rows, seen)),
        "repeated_allowed": list[str](),
        "late": [_told(one) for one in seen if one.started_at > mailing.end_at - LAST_START],
        "outside": list(_outside(mailing, clients, rows, seen)),
        "drift": list(_drift(rows, counters)),
    }
    for allowed, told in _repeated(mailing, rows, seen, kills):
        found["repeated_allowed" if allowed else "repeated"].append(told)
    return Audit(
        scenario,
        faults,
        **{kind: len(told) for kind, told in found.items()},
        findings=tuple(
            f"{kind}: {one}" for kind, told in found.items() if kind != "repeated_allowed" for one in told[:SHOWN]
        ),
    )


def _lost(
    mailing: AuditedMailing,
    clients: Mapping[str, str],
    rows: Sequence[AuditedRow],
    seen: Sequence[SeenRequest],
    ends: Mapping[str, frozenset[str]] | frozenset[str],
) -> Iterator[str]:
    if mailing.status != "finished":
        yield f"the mailing is {mailing.status}"
    with_row = {row.client_id for row in rows}
    yield from (f"client {id_} has no row" for id_ in clients if id_ not in with_row)
    accepted = {request.id for request in seen if request.accepted}
    for row in rows:
        expected = ends if isinstance(ends, frozenset) else ends.get(row.client_id, frozenset({"sent"}))
        if row.status not in ENDED:
            yield f"row {row.id} is still {row.end}"
        elif row.end not in expected:
            yield f"row {row.id} ended {row.end}, not {' or '.join(sorted(expected))}"
        elif row.status == "sent" and row.id not in accepted:
            yield f"row {row.id} is sent, and the provider knows nothing of it"


def _strangers(clients: Mapping[str, str], rows: Sequence[AuditedRow], seen: Sequence[SeenRequest]) -> Iterator[str]:
    for client_id, number in Counter(row.client_id for row in rows).items():
        yield from [f"client {client_id} has {number} rows"] * (number - 1)
        if client_id not in clients:
            yield f"client {client_id} has a row and is not of the audience"
    known = {row.id for row in rows}
    yield from (f"message {id_} was accepted and has no row" for id_ in _accepted(seen) if id_ not in known)


def _repeated(
    mailing: AuditedMailing, rows: Sequence[AuditedRow], seen: Sequence[SeenRequest], kills: Sequence[datetime]
) -> Iterator[tuple[bool, str]]:
    """Yield each acceptance of an id after its first, and whether a kill or an uncertain answer allows it."""
    uncertain = {row.id: row.uncertain if mailing.repeats_uncertain else 0 for row in rows}
    for id_, moments in _accepted(seen).items():
        doubts = uncertain.get(id_, 0)
        for before, again in pairwise(moments):
            allowed = any(before - LOGGED_AFTER <= kill <= min(again, before + UNRECORDED) for kill in kills)
            if not allowed and doubts > 0:
                doubts -= 1
                allowed = True
            yield allowed, f"message {id_} was accepted at {before.isoformat()} and again at {again.isoformat()}"


def _accepted(seen: Sequence[SeenRequest]) -> dict[int, list[datetime]]:
    moments: dict[int, list[datetime]] = defaultdict(list)
    for request in seen:
        if request.accepted and request.id is not None:
            moments[request.id].append(request.started_at)
    return moments


def _outside(
    mailing: AuditedMailing, clients: Mapping[str, str], rows: Sequence[AuditedRow], seen: Sequence[SeenRequest]
) -> Iterator[str]:
    if mailing.window is None:
        return
    opens, closes = map(time.fromisoformat, mailing.window)
    zones = {row.id: clients[row.client_id] for row in rows if row.client_id in clients}
    for request in seen:
        if request.id in zones:
            zone = zones[request.id]
            shown = request.started_at.astimezone(_zone(zone)).time()
            within = opens <= shown < closes if opens < closes else not closes <= shown < opens
            if not within:
                yield f"{_told(request)} at {shown} in {zone}"


def _drift(rows: Sequence[AuditedRow], counters: Mapping[str, int]) -> Iterator[str]:
    recount = Counter(row.status for row in rows)
    recount.update(row.end for row in rows if row.reason)
    recount.update({"attempts": sum(row.attempts for row in rows), "uncertain": sum(row.uncertain for row in rows)})
    # No row remembers all of its errors.
    names = {name for name in {*recount, *counters} if not name.startswith("error.")}
    for name in sorted(names):
        counted, stand = counters.get(name, 0), recount[name]
        yield from [f"{name} is counted {counted} times and stands in rows {stand} times"] * abs(counted - stand)


def _zone(name: str) -> tzinfo:
    if offset := re.fullmatch(r"([+-])(\d\d):(\d\d)", name):
        size = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-size if offset[1] == "-" else size)
    return ZoneInfo(name)


def _told(request: SeenRequest) -> str:
    return f"request for {request.id} begun at {request.started_at.isoformat()}"


# Where the facts come from.


@dataclass(frozen=True, slots=True)
class Stored:
    """What the tables hold of a mailing."""

    mailing: AuditedMailing
    rows: tuple[AuditedRow, ...]
    counters: Mapping[str, int]


def read_tables(dynamodb: Any, prefix: str, mailing_id: str) -> Stored:  # noqa: ANN401 - a boto3 client
    """Read a mailing with its rows and counters, consistently and past every index.

    Args:
        dynamodb: a boto3 client of it.
        prefix: of the tables' names, without the dash.
        mailing_id: which.
    """
    item = dynamodb.get_item(TableName=f"{prefix}-mailings", Key={"id": {"S": mailing_id}}, ConsistentRead=True)["Item"]
    window = (item["window_from"]["S"], item["window_to"]["S"]) if "window_from" in item else None
    mailing = AuditedMailing(
        mailing_id, item["status"]["S"], _moment(item["end_at"]), window, item["on_uncertain"]["S"] == "retry"
    )
    rows = dynamodb.get_paginator("scan").paginate(
        TableName=f"{prefix}-messages",
        ConsistentRead=True,
        FilterExpression="mailing_id = :mailing",
        ExpressionAttributeValues={":mailing": {"S": mailing_id}},
    )
    shards = dynamodb.get_paginator("query").paginate(
        TableName=f"{prefix}-stats",
        ConsistentRead=True,
        KeyConditionExpression="mailing_id = :mailing AND begins_with(#counter, :total)",
        ExpressionAttributeNames={"#counter": "counter"},
        ExpressionAttributeValues={":mailing": {"S": mailing_id}, ":total": {"S": "total#"}},
    )
    counters: Counter[str] = Counter()
    for page in shards:
        for shard in page["Items"]:
            counters.update({name: int(value["N"]) for name, value in shard.items() if _counts(name)})
    return Stored(mailing, tuple(_row(item) for page in rows for item in page["Items"]), counters)


def read_log(last: Iterable[Mapping[str, Any]]) -> list[SeenRequest]:
    """Read the list `last` of the simulated provider's `GET /_received`."""
    return [
        SeenRequest(
            one["id"],
            datetime.fromisoformat(one["started_at"]),
            one["accepted"],
            one["misbehaved"],
        )
        for one in last
    ]


def _row(item: Mapping[str, Any]) -> AuditedRow:
    return AuditedRow(
        int(item["id"]["N"]),
        item["client_id"]["S"],
        item["status"]["S"],
        item["reason"]["S"] if "reason" in item else None,
        *(int(item[name]["N"]) if name in item else 0 for name in ("attempts", "uncertain")),
    )


def _counts(name: str) -> bool:
    return name not in {"mailing_id", "counter", "expires_at", "repairs"} and not name.endswith("_sent_at")


def _moment(value: Mapping[str, str]) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(value["N"]))


# The table.

_COLUMNS = tuple(field.name for field in fields(Audit) if field.name not in {"scenario", "findings"})
_HEADS = {"repeated_allowed": "allowed"}


def table(audits: Sequence[Audit]) -> str:
    """Lay audits out as a table that ends with their totals."""
    columns = [
        ["scenario", *(one.scenario for one in audits), "total"],
        *(
            [
                _HEADS.get(name, name),
                *(f"{getattr(one, name):,}" for one in audits),
                f"{sum(getattr(one, name) for one in audits):,}",
            ]
            for name in _COLUMNS
        ),
    ]
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        " ".join(
            [name.ljust(widths[0]), *(number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True))]
        )
        for name, *numbers in zip(*columns, strict=True)
    )
