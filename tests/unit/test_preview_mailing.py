from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.sms_parts import SmsEncoding, SmsParts
from chalicelib.errors import ValidationError
from chalicelib.services.manage_mailings import NewMailing
from chalicelib.services.preview_mailing import Price
from tests.builders import NOW
from tests.world import World, clients

HOUR = timedelta(hours=1)


def new(**changes: Any) -> NewMailing:  # noqa: ANN401 - facts by name
    given: dict[str, Any] = {"start_at": NOW, "end_at": NOW + HOUR, "text": "Hello", "filter": AudienceFilter()}
    return NewMailing(**given | changes)


def world(number: int = 5) -> World:
    made = World()
    made.add_clients(clients(number))
    return made


def test_a_preview_is_what_is_planned_and_stores_nothing() -> None:
    made = world()
    made.suppress().one("79160000002")
    preview = made.preview()(new())
    assert made.mailings.stored == {}
    assert (preview.count.zones.total(), preview.count.suppressed) == (4, 1)

    mailing = made.manage().create(new())
    made.start(mailing.id)
    made.plan_waiting()
    assert len(made.rows(mailing)) == preview.count.zones.total()


def test_each_part_for_everyone_who_can_be_reached_is_paid_for() -> None:
    preview = world().preview(Price(Decimal("0.035"), "EUR"))(new(text="Я" * 71))
    assert preview.parts == SmsParts(SmsEncoding.UCS2, 2)
    assert preview.cost == Price(Decimal("0.350"), "EUR")


def test_who_cannot_be_reached_costs_nothing() -> None:
    preview = world().preview(Price(Decimal(1), "EUR"))(new(window=LocalWindow.parse("20:00", "21:00")))
    assert (preview.reach.reachable, preview.reach.window) == (0, 5)
    assert preview.cost == Price(Decimal(0), "EUR")


def test_without_a_price_there_is_no_cost() -> None:
    assert world().preview()(new()).cost is None


def test_no_request_is_foreseen_before_the_start_or_before_now() -> None:
    made = world(1)
    assert made.preview()(new(start_at=NOW - HOUR)).reach.opens_at == {"Europe/Moscow": NOW}
    later = new(start_at=NOW + HOUR, end_at=NOW + 2 * HOUR)
    assert made.preview()(later).reach.opens_at == {"Europe/Moscow": NOW + HOUR}


def test_no_request_is_foreseen_within_a_second_of_the_end() -> None:
    made = world(1)
    assert made.preview()(new(end_at=NOW + timedelta(seconds=1))).reach.too_late == 1
    assert made.preview()(new(end_at=NOW + timedelta(seconds=2))).reach.reachable == 1


def test_the_limit_of_requests_a_second_counts() -> None:
    made = world()
    made.per_second = 1
    assert made.preview()(new(end_at=NOW + timedelta(seconds=4.25))).reach.rate == 2


def test_what_could_not_be_created_is_not_previewed() -> None:
    with pytest.raises(ValidationError) as caught:
        world().preview()(new(end_at=NOW))
    assert [error.field for error in caught.value.errors] == ["end_at"]
