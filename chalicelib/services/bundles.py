"""Bundles: take the rows of tickets for a sender, and keep everybody else's changes apart from it."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.claim import DISSOLVED, Claim, as_held, is_bundled
from chalicelib.domain.message import Message, Outcome
from chalicelib.ports import ClaimRepository, MessageRepository, NewId

CLAIM_KEPT = timedelta(hours=1)  # behind the moment from which it means nothing, for clocks that differ


@dataclass(frozen=True, slots=True)
class Taken:
    """What a sender got of some rows.

    Attributes:
        ours: rows as they are now, each ours until its `lease_until`.
        later: open rows in a bundle that somebody else has claimed, until their `lease_until`. Their tickets need not
            be those by which it was claimed: somebody must look again.
    """

    ours: list[Message]
    later: list[Message]


@dataclass(frozen=True, slots=True)
class Bundles:
    """Decides whose rows are that were planned together.

    Who sends claims their bundle, who else changes them dissolves it first: one write, which succeeds once. Rows that
    are in no bundle any more are leased one by one, by their versions.
    """

    claims: ClaimRepository
    messages: MessageRepository
    new_version: NewId

    def take(self, rows: Iterable[Message], claim: Claim, now: datetime, *, together: bool = True) -> Taken:
        """Take what is open and free.

        Args:
            rows: as they were read.
            claim: who takes them, and until when; the same owner must ask for a row once only.
            now: the moment.
            together: whether all rows of a bundle will be requested before `claim` is over; else they are taken one
                by one, so that who is sent the others need not wait for that.
        """
        opened = [row for row in rows if row.is_open]
        bundled = [row for row in opened if is_bundled(row, now)]
        free = [row for row in opened if row.lease_until is not None and row.lease_until < now]
        ours, later = [], []
        claims = self._claim(bundled, claim if together else DISSOLVED)
        for row in bundled:
            stands = claims[row.version]
            held = as_held(row, stands)
            if stands.until < now:
                free.append(held)
            elif stands.owner != claim.owner:
                later.append(held)
            elif row.lease_until is not None and stands.until > row.lease_until:
                free.append(row)  # it comes due, and with that free for others, before the claim is over
            else:
                ours.append(held)
        return Taken(ours + self._lease(free, claim.until), later)

    def change(
        self, rows: Iterable[Message], change: Callable[[Message], Outcome | None], now: datetime
    ) -> list[Outcome]:
        """List the changes of rows; those in the hands of a sender, by a claim or a lease, are left to that.

        Bundles of which a row changes are dissolved before: from then on its version tells whether anybody was faster.
        """
        outcomes: list[Outcome] = []
        of_bundles: list[Outcome] = []
        for row in rows:
            bundled = is_bundled(row, now)
            if outcome := change(as_held(row, None) if bundled else row):
                (of_bundles if bundled else outcomes).append(outcome)
        claims = self._claim((outcome.before for outcome in of_bundles), DISSOLVED)
        return outcomes + [outcome for outcome in of_bundles if claims[outcome.before.version].until <= now]

    def seen(self, row: Message, now: datetime) -> Message:
        """Show a row as it is held."""
        return as_held(row, self.claims.find([row.version]).get(row.version)) if is_bundled(row, now) else row

    def _claim(self, rows: Iterable[Message], claim: Claim) -> Mapping[str, Claim]:
        bundles = {row.version: row.due_at for row in rows if row.due_at}
        if not bundles:
            return {}
        return self.claims.claim(bundles.keys(), claim, expires_at=max(bundles.values()) + CLAIM_KEPT)

    def _lease(self, rows: Collection[Message], until: datetime) -> list[Message]:
        return list(self.messages.lease(rows, until=until, version=self.new_version())) if rows else []
