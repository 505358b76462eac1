import threading
from collections.abc import Collection, Mapping
from datetime import datetime

from chalicelib.domain.claim import Claim


class FakeClaimRepository:
    """Claims on bundles in memory (port: `ClaimRepository`). Thread-safe."""

    def __init__(self) -> None:
        self.stored: dict[str, Claim] = {}
        self._lock = threading.Lock()

    def claim(self, bundles: Collection[str], claim: Claim, *, expires_at: datetime) -> Mapping[str, Claim]:
        assert expires_at > claim.until
        with self._lock:
            return {bundle: self.stored.setdefault(bundle, claim) for bundle in bundles}

    def find(self, bundles: Collection[str]) -> Mapping[str, Claim]:
        with self._lock:
            return {bundle: self.stored[bundle] for bundle in bundles if bundle in self.stored}
