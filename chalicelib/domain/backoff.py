"""How long to wait before the next attempt."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

Uniform = Callable[[float, float], float]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    base_seconds: float
    cap_seconds: float

    def delay(self, attempts: int, uniform: Uniform) -> timedelta:
        """Draw the wait after so many attempts: between 0 and base × 2^(attempts - 1), at most the cap."""
        ceiling = min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempts - 1, 32))
        return timedelta(seconds=uniform(0, ceiling))
