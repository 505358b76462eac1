from typing import Self

from chalicelib.api.schemas import Phone, ShownMoment, WireModel
from chalicelib.domain.suppression import Suppression


class SuppressPhoneRequest(WireModel):
    """A phone whose owner opted out."""

    phone: Phone


class SuppressionResponse(WireModel):
    """A phone to which nothing is sent."""

    phone: Phone
    created_at: ShownMoment

    @classmethod
    def of(cls, suppression: Suppression) -> Self:
        """Show a suppression."""
        return cls(phone=suppression.phone, created_at=suppression.created_at)
