"""What all senders share (port: `ControlRepository`)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from chalicelib.adapters.model_errors import stale, translated_model
from chalicelib.adapters.tables import ControlItem
from chalicelib.domain.breaker import Breaker, BreakerState, Cause
from chalicelib.domain.limits import MICROSECOND, share_in_flight
from chalicelib.errors import StaleError, TransientError

_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TRIES = 10
_SAME_NAMES = ("since", "changed_at", "probe_at", "probes", "slowed_until", "version")


class DynamoControlRepository:
    """Named items of the control table; see the port for what each method promises."""

    def breaker(self) -> Breaker:
        """Read the breaker; one that nobody ever changed is closed."""
        item = _read(ControlItem.BREAKER)
        if item is None:
            return Breaker()
        return Breaker(
            state=BreakerState(item.state),
            cause=Cause(item.cause) if item.cause else None,
            **{name: getattr(item, name) for name in _SAME_NAMES},
        )

    def change_breaker(self, after: Breaker) -> None:
        """Store the next version of the breaker."""
        item = ControlItem(
            ControlItem.BREAKER,
            state=after.state.value,
            cause=after.cause.value if after.cause else None,
            **{name: getattr(after, name) for name in _SAME_NAMES},
        )
        _save(item, after.version - 1)

    def reserve_slots(
        self, count: int, interval: timedelta, *, now: datetime, horizon: datetime
    ) -> tuple[datetime | None, datetime]:
        """Reserve slots one after the other: one write, two after a pause."""
        span = count * interval // MICROSECOND
        first, begun = ControlItem.next_slot, _microseconds(now)
        waiting = (first > begun) & (first <= _microseconds(horizon))
        idle = first.does_not_exist() | (first <= begun)
        for _ in range(_TRIES):
            for condition, value in ((waiting, first + span), (idle, begun + span)):
                item = ControlItem(ControlItem.PACE)
                try:
                    with stale("other slots are free"):
                        item.update(actions=[first.set(value)], condition=condition)
                except StaleError:
                    continue
                return _moment(int(item.next_slot) - span), _moment(int(item.next_slot))
            found = _read(ControlItem.PACE)
            if found is not None and found.next_slot > _microseconds(horizon):
                return None, _moment(int(found.next_slot))
        raise TransientError("others reserved slots each time")

    def take_in_flight(self, owner: str, wanted: int, limit: int, *, now: datetime, until: datetime) -> int:
        """Take a share of the requests at once; what was taken by somebody who died is free after its `until`."""
        given = 0

        def take(taken: dict[str, list[int]]) -> dict[str, list[int]]:
            nonlocal given
            alive = {name: share for name, share in taken.items() if share[1] > _milliseconds(now) and name != owner}
            given = min(wanted, share_in_flight(limit, sum(share for share, _ in alive.values())))
            return alive | ({owner: [given, _milliseconds(until)]} if given else {})

        self._change_taken(take)
        return given

    def give_back_in_flight(self, owner: str) -> None:
        """Give a share back."""
        self._change_taken(lambda taken: {name: share for name, share in taken.items() if name != owner})

    def _change_taken(self, change: Callable[[dict[str, list[int]]], dict[str, list[int]]]) -> None:
        for _ in range(_TRIES):
            item = _read(ControlItem.IN_FLIGHT)
            before = item.taken if item else {}
            after = change(before)
            if after == before:
                return
            version = int(item.version) if item else 0
            try:
                _save(ControlItem(ControlItem.IN_FLIGHT, taken=after, version=version + 1), version)
            except StaleError:
                continue
            return
        raise TransientError("others changed what is in flight each time")


def _read(name: str) -> ControlItem | None:
    with translated_model():
        try:
            return ControlItem.get(name, consistent_read=True)
        except ControlItem.DoesNotExist:
            return None


def _save(item: ControlItem, version: int) -> None:
    with stale(f"{item.name} has changed since it was read"):
        item.save(ControlItem.version == version if version else ControlItem.version.does_not_exist())


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // MICROSECOND


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _moment(microseconds: int) -> datetime:
    return _EPOCH + microseconds * MICROSECOND
