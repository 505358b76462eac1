"""Hold all mailings back: after a restore nobody knows what of them was sent since."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.errors import ConflictError, NotFoundError
from chalicelib.ports import MailingRepository
from chalicelib.services.control_mailings import ControlMailings

PAGE = 100


@dataclass(frozen=True, slots=True)
class Held:
    """Ids of mailings: those that were paused, and wait to be resumed; and drafts again, that wait to be started."""

    paused: Sequence[str]
    drafts: Sequence[str]


@dataclass(frozen=True, slots=True)
class HoldMailings:
    """Pauses what runs and takes back to draft what is scheduled. Those whose end has passed send nothing as it is.

    Killed in it, it is run again.
    """

    mailings: MailingRepository
    control: ControlMailings

    def __call__(self) -> Held:
        """Hold them; the planner must not run meanwhile, or it starts what was about to be held."""
        return Held(
            self._each(MailingStatus.RUNNING, self.control.pause),
            self._each(MailingStatus.SCHEDULED, self.control.hold),
        )

    def _each(self, status: MailingStatus, change: Callable[[str], Mailing]) -> Sequence[str]:
        held = []
        for mailing_id in self._all(status):
            try:
                held.append(change(mailing_id).id)
            except (ConflictError, NotFoundError):
                continue  # its end has passed, or somebody was faster
        return held

    def _all(self, status: MailingStatus) -> Sequence[str]:
        """List all before the first is changed, and with that leaves the list."""
        found, after = [], None
        while True:
            page = self.mailings.page(status, after, PAGE)
            found += [mailing.id for mailing in page.items]
            after = page.next
            if after is None:
                return found
