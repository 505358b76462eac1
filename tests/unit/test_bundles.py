"""Whose the rows are that were planned together."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chalicelib.domain.claim import DISSOLVED, Claim
from chalicelib.domain.message import UNLEASED, Message, Outcome, Status, ended
from chalicelib.services.bundles import CLAIM_KEPT
from tests.builders import NOW, message, ulid
from tests.fakes.messages import FakeMessageRepository
from tests.world import World

SECOND = timedelta(seconds=1)
LEASE = 30 * SECOND
DUE = NOW + 15 * 60 * SECOND
MINE = Claim("me", NOW + LEASE)
THEIRS = Claim("they", NOW + LEASE)


def bundled(number: int, bundle: str = "b1", **changes: object) -> Message:
    return message(id=number, client_id=ulid(number), version=bundle, due_at=DUE, lease_until=DUE, **changes)


def free(number: int, **changes: object) -> Message:
    return replace(bundled(number, f"v{number}", **changes), lease_until=UNLEASED)


def world(*rows: Message) -> World:
    return World(messages=FakeMessageRepository(*rows))


def take(made: World, rows: Sequence[Message], claim: Claim = MINE, **options: bool) -> tuple[list[Message], list[int]]:
    taken = made.bundles().take(rows, claim, made.clock(), **options)
    return taken.ours, [row.id for row in taken.later]


def leases(made: World) -> dict[int, int]:
    return {id_: row.leases for id_, row in made.messages.stored.items()}


def test_a_bundle_is_taken_by_one_claim_and_its_rows_are_not_written() -> None:
    rows = [bundled(1), bundled(2), bundled(3, "b2")]
    made = world(*rows)
    ours, later = take(made, rows)
    assert ours == [replace(row, lease_until=MINE.until, leases=1) for row in rows]
    assert later == []
    assert made.claims.stored == {"b1": MINE, "b2": MINE}
    assert list(made.messages.stored.values()) == rows


def test_rows_of_a_bundle_that_another_has_claimed_are_for_later() -> None:
    rows = [bundled(1), bundled(2, "b2")]
    made = world(*rows)
    made.claims.stored["b1"] = THEIRS
    ours, later = take(made, rows)
    assert [row.id for row in ours] == [2]
    assert later == [1]
    assert made.claims.stored["b1"] == THEIRS


def test_what_is_left_of_a_bundle_is_ours_when_the_claim_is() -> None:
    made = world(bundled(1), bundled(2))
    take(made, [bundled(1)])
    made.clock.advance(SECOND)
    ((row,), later) = take(made, [bundled(2)], Claim("me", MINE.until + SECOND))
    assert (row.lease_until, later) == (MINE.until, [])


@pytest.mark.parametrize(("passed", "is_over"), [(LEASE, False), (LEASE + SECOND, True)])
def test_rows_whose_claim_is_over_are_leased_one_by_one_and_the_claim_counts(
    passed: timedelta,
    is_over: bool,  # noqa: FBT001 - a column of the table
) -> None:
    rows = [bundled(1), bundled(2)]
    made = world(*rows)
    made.claims.stored["b1"] = THEIRS
    made.clock.advance(passed)
    ours, later = take(made, rows, Claim("me", made.clock() + LEASE))
    if is_over:
        assert [(row.leases, row.lease_until) for row in ours] == [(2, made.clock() + LEASE)] * 2
        assert len({row.version for row in ours} | {"b1"}) == 2
        assert ours == list(made.messages.stored.values())
        assert later == []
    else:
        assert (ours, later) == ([], [1, 2])


def test_rows_of_a_dissolved_bundle_are_leased_for_the_first_time() -> None:
    made = world(bundled(1))
    made.claims.stored["b1"] = DISSOLVED
    ((row,), _) = take(made, [bundled(1)])
    assert row.leases == 1


def test_taken_one_by_one_the_others_of_a_bundle_are_free_for_anybody() -> None:
    made = world(bundled(1), bundled(2))
    ((first,), _) = take(made, [bundled(1)], together=False)
    ((second,), later) = take(made, [bundled(2)], THEIRS, together=False)
    assert (first.leases, second.leases, later) == (1, 1, [])
    assert first.version != second.version
    assert made.claims.stored == {"b1": DISSOLVED}


def test_rows_that_come_due_before_the_claim_is_over_are_leased() -> None:
    made = world(bundled(1))
    made.clock.now = DUE - LEASE + SECOND
    ((row,), _) = take(made, [bundled(1)], Claim("me", made.clock() + LEASE))
    assert row == made.messages.stored[1]
    assert (row.leases, row.lease_until) == (1, made.clock() + LEASE)


def test_from_the_moment_at_which_it_comes_due_a_row_is_in_no_bundle() -> None:
    made = world(bundled(1))
    made.clock.now = DUE + SECOND
    ((row,), _) = take(made, [bundled(1)], Claim("me", made.clock() + LEASE))
    assert row.leases == 1
    assert made.claims.stored == {}


def test_free_rows_are_leased_and_leased_or_ended_ones_left() -> None:
    rows = [
        free(1),
        replace(free(2), lease_until=NOW + SECOND, leases=1),
        replace(free(3), lease_until=NOW - SECOND, leases=4),
        replace(free(4), lease_until=NOW, leases=1),
        ended(free(5), Status.SENT, expires_at=None),
    ]
    made = world(*rows)
    ours, later = take(made, rows)
    assert [(row.id, row.leases) for row in ours] == [(1, 1), (3, 5)]
    assert later == []
    assert leases(made) == {1: 1, 2: 1, 3: 5, 4: 1, 5: 0}


def test_a_row_that_changed_since_it_was_read_is_not_ours() -> None:
    made = world(free(1))
    made.messages.stored[1] = replace(free(1), version="changed")
    assert take(made, [free(1)]) == ([], [])


def test_nothing_to_take_asks_nobody() -> None:
    made = world()
    made.hook = lambda *_: pytest.fail("something was written")
    assert take(made, []) == ([], [])


# --- Changes by others


def cancelled(row: Message) -> Outcome | None:
    if row.lease_until is not None and row.lease_until > NOW:
        return None
    return Outcome(row, ended(row, Status.CANCELLED, expires_at=None))


def changed(made: World, *rows: Message) -> list[int]:
    return [outcome.before.id for outcome in made.bundles().change(rows, cancelled, made.clock())]


def test_who_changes_rows_dissolves_their_bundles_first() -> None:
    made = world(bundled(1), bundled(2, "b2"), free(3))
    assert changed(made, bundled(1), bundled(2, "b2"), free(3)) == [3, 1, 2]
    assert made.claims.stored == {"b1": DISSOLVED, "b2": DISSOLVED}


def test_rows_in_the_hands_of_a_sender_are_not_changed() -> None:
    made = world()
    made.claims.stored["b1"] = THEIRS
    leased = replace(free(2), lease_until=NOW + SECOND, leases=1)
    assert changed(made, bundled(1), leased) == []
    assert made.claims.stored == {"b1": THEIRS}


def test_rows_of_a_dead_sender_are_changed() -> None:
    made = world()
    made.claims.stored["b1"] = Claim("they", NOW)
    assert changed(made, bundled(1)) == [1]


def test_a_bundle_that_nothing_changes_stays() -> None:
    made = world()
    assert made.bundles().change([bundled(1)], lambda _: None, NOW) == []
    assert made.claims.stored == {}


def test_a_sender_that_comes_after_a_change_takes_what_is_left() -> None:
    rows = [bundled(1), bundled(2)]
    made = world(*rows)
    outcomes = made.bundles().change(rows[:1], cancelled, made.clock())
    ours, _ = take(made, rows)  # it had read them before
    assert [row.id for row in ours] == [1, 2]
    assert made.messages.record(rows[0].mailing_id, outcomes) == [], "the sender was faster"


# --- Looking


@pytest.mark.parametrize(
    ("claim", "until", "counted"),
    [(None, UNLEASED, 0), (DISSOLVED, UNLEASED, 0), (THEIRS, THEIRS.until, 1), (Claim("they", NOW), NOW, 1)],
)
def test_a_row_is_seen_with_the_lease_that_its_bundles_claim_stands_for(
    claim: Claim | None, until: datetime, counted: int
) -> None:
    made = world()
    if claim:
        made.claims.stored["b1"] = claim
    seen = made.bundles().seen(bundled(1), NOW)
    assert seen == replace(bundled(1), lease_until=until, leases=counted)


def test_a_row_by_itself_is_seen_as_it_is() -> None:
    for row in (free(1), replace(free(1), leases=1, lease_until=DUE), ended(free(1), Status.SENT, expires_at=None)):
        assert world().bundles().seen(row, NOW) == row


def test_a_claim_is_kept_until_it_means_nothing() -> None:
    made = world(bundled(1))
    kept = []
    made.claims.claim = lambda bundles, claim, expires_at: kept.append(expires_at) or dict.fromkeys(bundles, claim)  # type: ignore[func-returns-value,assignment,misc]
    take(made, [bundled(1), replace(bundled(2, "b2"), due_at=DUE + SECOND)])
    assert kept == [DUE + SECOND + CLAIM_KEPT]
