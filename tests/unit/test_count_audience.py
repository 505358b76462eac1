from collections import Counter
from collections.abc import Collection
from datetime import timedelta
from fractions import Fraction

import pytest

from chalicelib.domain.audience import SHARDS, AudienceFilter, Member, parts_of, shards_to_read
from chalicelib.domain.client import Client
from chalicelib.domain.suppression import Suppression
from chalicelib.ports import Page
from chalicelib.services import count_audience
from chalicelib.services.count_audience import TIME_TO_READ, AudienceCount, CountAudience
from tests.builders import NOW, client, ulid
from tests.fakes.clients import FakeClientRepository
from tests.fakes.clock import FakeClock

ALL = AudienceFilter()
ZONES = ("Europe/Moscow", "Asia/Tokyo", "Asia/Tokyo", "+05:00")


def crowd(number: int) -> list[Client]:
    return [
        client(
            id=ulid(n),
            phone=f"7916{n:07d}",
            timezone=ZONES[n % len(ZONES)],
            operator_code="916" if n % 3 else "903",
            tag="vip" if n % 5 else None,
        )
        for n in range(1, number + 1)
    ]


class SlowAudience(FakeClientRepository):
    """An audience of which each page takes a while."""

    def __init__(self, clock: FakeClock, page_time: timedelta, clients: Collection[Client]) -> None:
        super().__init__(*clients)
        self.pages: list[str] = []
        self._clock = clock
        self._page_time = page_time

    def members(self, part: str, after: str | None, limit: int) -> Page[Member]:
        self.pages.append(part)
        self._clock.advance(self._page_time)
        return super().members(part, after, limit)


def counting(clients: FakeClientRepository, clock: FakeClock | None = None) -> CountAudience:
    return CountAudience(clients, clients, clock or FakeClock())


@pytest.mark.parametrize(
    "meant", [ALL, AudienceFilter(("916",)), AudienceFilter((), ("vip",)), AudienceFilter(("916", "903"), ("vip",))]
)
def test_what_can_be_read_is_counted_exactly(meant: AudienceFilter) -> None:
    clients = FakeClientRepository(*crowd(300))
    wanted = Counter(one.timezone for one in clients.stored.values() if meant.matches(one))
    assert counting(clients)(meant) == AudienceCount(wanted, 0, estimated=False)


def test_who_opted_out_is_counted_apart() -> None:
    clients = FakeClientRepository()
    clients.suppressed = {f"7916{n:07d}": Suppression(f"7916{n:07d}", NOW) for n in range(1, 11)}
    for one in crowd(100):
        clients.create(one)
    count = counting(clients)(ALL)
    assert (count.zones.total(), count.suppressed, count.estimated) == (90, 10, False)
    assert counting(clients)(AudienceFilter(("903",))).suppressed == 3


def test_nobody_is_nobody() -> None:
    assert counting(FakeClientRepository())(ALL) == AudienceCount()


def test_pages_are_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_audience, "PAGE", 2)
    assert counting(FakeClientRepository(*crowd(300)))(ALL).zones.total() == 300


class WithoutZones(FakeClientRepository):
    """Members as they were stored before their zone was; one of the clients is deleted while they are read."""

    def members(self, part: str, after: str | None, limit: int) -> Page[Member]:
        page = super().members(part, after, limit)
        return Page([Member(one.client_id, one.operator_code, one.tag) for one in page.items], page.next)

    def get_many(self, client_ids: Collection[str]) -> dict[str, Client]:
        return {id_: one for id_, one in super().get_many(client_ids).items() if id_ != ulid(3)}


def test_zones_that_members_do_not_know_are_read_of_their_clients() -> None:
    clients = WithoutZones(*crowd(8))
    assert counting(clients)(ALL).zones == {"Asia/Tokyo": 4, "Europe/Moscow": 2, "+05:00": 1}


def test_what_cannot_be_read_in_time_is_worked_out_from_whole_shards() -> None:
    """Pages take a second: after six of them, whatever is not read by then is left."""
    clock = FakeClock()
    clients = SlowAudience(clock, timedelta(seconds=1), crowd(2000))
    count = counting(clients, clock)(ALL)
    assert count.estimated
    assert clock() - NOW < TIME_TO_READ + timedelta(seconds=10)
    assert len(set(clients.pages)) < SHARDS
    assert 1300 < count.zones.total() < 2700
    assert count.zones.keys() == set(ZONES)


def test_a_first_shard_that_takes_too_long_is_counted_without_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_audience, "PAGE", 3)
    clock = FakeClock()
    meant = AudienceFilter(("903", "916"))
    clients = SlowAudience(clock, TIME_TO_READ, crowd(3200))
    first = shards_to_read(meant)[0]
    in_first = sum(bool(set(parts_of(one)) & set(first)) for one in clients.stored.values())
    count = counting(clients, clock)(meant)
    assert clients.pages == [first[0]]
    assert count.estimated
    # Of each zone it is a whole number: rounding may cost half a client a zone and step.
    assert abs(count.zones.total() - in_first * SHARDS) <= len(set(ZONES)) * SHARDS


def test_a_sample_in_which_nobody_is_suppressed_works_out_nobody() -> None:
    zones = Counter({"Europe/Moscow": 3, "Asia/Tokyo": 1})
    assert AudienceCount(zones, 2).scaled(Fraction(5, 2)) == AudienceCount(
        Counter({"Europe/Moscow": 8, "Asia/Tokyo": 2}), 5, estimated=True
    )
