from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.auditor import Audit, AuditedMailing, AuditedRow, SeenRequest, audit, read_log, table

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
MAILING = AuditedMailing("m", "finished", NOON + timedelta(hours=1), ("09:00", "21:00"))
CLIENTS = {"a": "UTC", "b": "Europe/Moscow", "c": "+05:30"}
ROWS = tuple(AuditedRow(number, client_id, "sent", attempts=1) for number, client_id in enumerate(CLIENTS, 1))
COUNTERS = {"sent": 3, "attempts": 3, "queued": 0, "error.http_500": 7}
REQUESTS = tuple(SeenRequest(row.id, NOON, accepted=True) for row in ROWS)


def audited(
    *,
    mailing: AuditedMailing = MAILING,
    clients: Mapping[str, str] = CLIENTS,
    rows: Sequence[AuditedRow] = ROWS,
    counters: Mapping[str, int] | None = None,
    requests: Sequence[SeenRequest] = REQUESTS,
    ends: frozenset[str] | Mapping[str, frozenset[str]] = frozenset({"sent"}),
    kills: Sequence[datetime] = (),
) -> Audit:
    return audit(
        "example",
        mailing=mailing,
        clients=clients,
        rows=rows,
        counters=COUNTERS if counters is None else counters,
        requests=requests,
        faults=5,
        ends=ends,
        kills=kills,
    )


def broken(audit: Audit) -> dict[str, int]:
    names = ("lost", "repeated", "repeated_allowed", "late", "outside", "drift")
    return {name: getattr(audit, name) for name in names if getattr(audit, name)}


def test_mailing_that_kept_every_promise_has_nothing_to_tell() -> None:
    audit = audited()

    assert (audit.kept, broken(audit), audit.findings, audit.faults) == (True, {}, (), 5)


def test_member_of_the_audience_without_a_row_is_lost() -> None:
    audit = audited(clients={**CLIENTS, "d": "UTC"})

    assert (audit.kept, broken(audit)) == (False, {"lost": 1})
    assert audit.findings == ("lost: client d has no row",)


def test_mailing_that_did_not_finish_is_lost() -> None:
    assert broken(audited(mailing=replace(MAILING, status="running"))) == {"lost": 1}


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        ("deferred", "retry", "lost: row 1 is still deferred.retry"),
        ("failed", "attempts", "lost: row 1 ended failed.attempts, not sent"),
        ("expired", None, "lost: row 1 ended expired, not sent"),
    ],
)
def test_row_that_did_not_end_as_expected_is_lost(status: str, reason: str | None, told: str) -> None:
    row = replace(ROWS[0], status=status, reason=reason)
    counters = {"sent": 2, "attempts": 3, row.status: 1, row.end: 1}

    audit = audited(rows=[row, *ROWS[1:]], counters=counters)

    assert broken(audit) == {"lost": 1}
    assert audit.findings == (told,)


def test_scenario_may_expect_other_ends_of_all_or_of_one() -> None:
    row = replace(ROWS[0], status="failed", reason="refused")
    counters = {"sent": 2, "failed": 1, "failed.refused": 1, "attempts": 3}
    for ends in (frozenset({"sent", "failed.refused"}), {"a": frozenset({"failed.refused"})}):
        assert audited(rows=[row, *ROWS[1:]], counters=counters, ends=ends).kept
    assert not audited(rows=[row, *ROWS[1:]], counters=counters, ends={"b": frozenset({"failed.refused"})}).kept


def test_row_sent_that_the_provider_never_accepted_is_lost() -> None:
    assert broken(audited(requests=[replace(REQUESTS[0], accepted=False), *REQUESTS[1:]])) == {"lost": 1}
    assert broken(audited(requests=REQUESTS[1:])) == {"lost": 1}


def test_message_accepted_again_for_no_reason_is_repeated() -> None:
    again = replace(REQUESTS[0], started_at=NOON + timedelta(seconds=20))

    assert broken(audited(requests=[again, again, *REQUESTS])) == {"repeated": 2}


def test_request_that_the_provider_did_not_accept_repeats_nothing() -> None:
    assert audited(requests=[replace(REQUESTS[0], accepted=False), *REQUESTS]).kept


def test_each_uncertain_answer_allows_one_repetition_where_the_mailing_retries() -> None:
    doubtful = [replace(ROWS[0], uncertain=1), *ROWS[1:]]
    counters = {**COUNTERS, "uncertain": 1}
    again = replace(REQUESTS[0], started_at=NOON + timedelta(seconds=20))

    assert broken(audited(rows=doubtful, counters=counters, requests=[*REQUESTS, again])) == {"repeated_allowed": 1}
    assert broken(audited(rows=doubtful, counters=counters, requests=[*REQUESTS, again, again])) == {
        "repeated_allowed": 1,
        "repeated": 1,
    }
    hold = replace(MAILING, repeats_uncertain=False)
    assert broken(audited(mailing=hold, rows=doubtful, counters=counters, requests=[*REQUESTS, again])) == {
        "repeated": 1
    }


@pytest.mark.parametrize(
    ("seconds", "kind"),
    [(-1, "repeated"), (-0.4, "repeated_allowed"), (12, "repeated_allowed"), (13, "repeated")],
)
def test_kill_allows_to_repeat_only_what_may_not_have_been_recorded_by_then(seconds: float, kind: str) -> None:
    again = replace(REQUESTS[0], started_at=NOON + timedelta(seconds=40))

    audit = audited(requests=[*REQUESTS, again], kills=[NOON + timedelta(seconds=seconds)])

    assert broken(audit) == {kind: 1}


def test_kill_after_the_repetition_explains_nothing() -> None:
    again = replace(REQUESTS[0], started_at=NOON + timedelta(seconds=3))

    assert broken(audited(requests=[*REQUESTS, again], kills=[NOON + timedelta(seconds=4)])) == {"repeated": 1}


def test_second_row_of_a_client_and_row_of_a_stranger_are_repeated() -> None:
    second = replace(ROWS[0], id=9)
    requests = [*REQUESTS, SeenRequest(9, NOON, accepted=True)]
    counters = {"sent": 4, "attempts": 4}

    assert broken(audited(rows=[*ROWS, second], counters=counters, requests=requests)) == {"repeated": 1}
    stranger = replace(second, client_id="z")
    assert broken(audited(rows=[*ROWS, stranger], counters=counters, requests=requests)) == {"repeated": 1}


def test_message_accepted_that_has_no_row_is_repeated() -> None:
    assert broken(audited(requests=[*REQUESTS, SeenRequest(9, NOON, accepted=True)])) == {"repeated": 1}


def test_request_within_the_last_second_is_late() -> None:
    end_at = NOON + timedelta(seconds=1)

    assert audited(mailing=replace(MAILING, end_at=end_at)).kept
    assert broken(audited(mailing=replace(MAILING, end_at=end_at - timedelta(milliseconds=1)))) == {"late": 3}


@pytest.mark.parametrize(
    ("window", "outside"),
    [
        (None, 0),
        (("12:00", "18:00"), 0),
        (("12:01", "18:00"), 1),  # in UTC the clock shows 12:00
        (("09:00", "17:30"), 1),  # at +05:30 it shows 17:30, and the closing time is closed
        (("12:00", "15:00"), 2),  # in Moscow 15:00
        (("22:00", "16:00"), 1),  # across midnight
        (("17:00", "11:00"), 2),
    ],
)
def test_request_at_another_time_of_the_client_s_day_is_outside(window: tuple[str, str] | None, outside: int) -> None:
    assert audited(mailing=replace(MAILING, window=window)).outside == outside


def test_offset_west_of_utc_is_behind_it() -> None:
    assert audited(clients={**CLIENTS, "a": "-03:30"}).outside == 1


@pytest.mark.parametrize(
    ("changed", "drift"),
    [({"sent": 2}, 1), ({"queued": 1}, 1), ({"attempts": 5}, 2), ({"deferred.retry": -1}, 1), ({"uncertain": 3}, 3)],
)
def test_each_difference_between_counters_and_rows_is_drift(changed: dict[str, int], drift: int) -> None:
    assert broken(audited(counters=COUNTERS | changed)) == {"drift": drift}


def test_provider_s_log_is_read() -> None:
    line = {"id": 7, "started_at": "2026-06-01T12:00:00.000Z", "accepted": True, "status": 200, "misbehaved": False}

    assert read_log([line]) == [SeenRequest(7, NOON, accepted=True)]


def test_table_is_aligned_and_ends_with_totals() -> None:
    one = Audit("provider answers 503", 1200, 0, 0, 3, 0, 0, 0)

    lines = table([one, replace(one, scenario="senders are killed", lost=2)]).splitlines()

    assert lines[0].split() == [
        "scenario", "faults", "lost", "repeated", "allowed", "late", "outside", "drift",
    ]  # fmt: skip
    assert lines[-1].split() == ["total", "2,400", "2", "0", "6", "0", "0", "0"]
    assert len({len(line) for line in lines}) == 1
