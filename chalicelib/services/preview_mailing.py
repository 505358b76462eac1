"""Preview a mailing: whom it would reach, in how many parts, for how much. Nothing is stored."""

from dataclasses import dataclass
from decimal import Decimal

from chalicelib.domain.delivery import END_MARGIN
from chalicelib.domain.reach import Reach, reach
from chalicelib.domain.sms_parts import SmsParts, sms_parts
from chalicelib.ports import Clock
from chalicelib.services.count_audience import AudienceCount, CountAudience
from chalicelib.services.manage_mailings import NewMailing


@dataclass(frozen=True, slots=True)
class Price:
    """What one part of an SMS costs; `currency` is a code of ISO 4217."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of a mailing. `cost` is that of everyone who can be reached; None if no price is set."""

    count: AudienceCount
    parts: SmsParts
    reach: Reach
    cost: Price | None


@dataclass(frozen=True, slots=True)
class PreviewMailing:
    """The use case of those who want to know before they send."""

    count_audience: CountAudience
    clock: Clock
    per_second: float | None
    part_price: Price | None

    def __call__(self, new: NewMailing) -> Preview:
        """Preview a mailing as if it were started at its time, or now if that has passed.

        Raises:
            ValidationError: its times contradict each other or the clock.
        """
        now = self.clock()
        mailing = new.made("preview", now)
        count = self.count_audience(mailing.filter)
        begin, end = max(mailing.start_at, now), mailing.end_at - END_MARGIN
        reached = reach(count.zones, mailing.window, begin, end, self.per_second)
        parts = sms_parts(mailing.text)
        cost = None
        if self.part_price:
            cost = Price(self.part_price.amount * parts.parts * reached.reachable, self.part_price.currency)
        return Preview(count, parts, reached, cost)
