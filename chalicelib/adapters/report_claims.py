"""Of which days the report was sent, and who is about to send it (port: `ReportClaims`)."""

from contextlib import suppress
from datetime import date, datetime, timedelta

from chalicelib.adapters.model_errors import stale, translated_model
from chalicelib.adapters.tables import ControlItem
from chalicelib.errors import StaleError

PREFIX = "report"
KEPT = timedelta(days=60)


class DynamoReportClaims:
    """An item a day in the control table; see the port for what each method promises."""

    def claim(self, day: date, owner: str, *, now: datetime, until: datetime) -> bool:
        """Take a day by one conditional write."""
        free = (
            ControlItem.claimed_until.does_not_exist()
            | (ControlItem.claimed_until < now)
            | (ControlItem.owner == owner)  # botocore may send it twice
        )
        try:
            with stale("the report was sent, or somebody else is about to send it"):
                _item(day).update(
                    actions=[
                        ControlItem.owner.set(owner),
                        ControlItem.claimed_until.set(until),
                        ControlItem.expires_at.set(now + KEPT),
                    ],
                    condition=ControlItem.sent_at.does_not_exist() & free,
                )
        except StaleError:
            return False
        return True

    def give_back(self, day: date, owner: str) -> None:
        """Free a day at once."""
        with suppress(StaleError), stale("the day is somebody else's by now"):
            _item(day).update(actions=[ControlItem.claimed_until.remove()], condition=ControlItem.owner == owner)

    def record_sent(self, day: date, at: datetime) -> None:
        """Note that the report was sent."""
        with translated_model():
            _item(day).update(actions=[ControlItem.sent_at.set(at), ControlItem.expires_at.set(at + KEPT)])


def _item(day: date) -> ControlItem:
    return ControlItem(f"{PREFIX}#{day.isoformat()}")
