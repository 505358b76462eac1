from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.figures import DriftCheck, Record, Rest, Watch


class FakeFigureRepository:
    """What is kept for those who watch, in memory (port: `FigureRepository`).

    Attributes:
        error: raised by each call, if set.
        writes: how often counts were added.
    """

    def __init__(self) -> None:
        self.stored = Record()
        self.error: Exception | None = None
        self.writes = 0

    def add(
        self, changes: Counter[str], received: Mapping[str, datetime], token_expires_at: datetime | None = None
    ) -> None:
        self._fail()
        self.writes += 1
        self.stored = replace(
            self.stored,
            counts=self.stored.counts + changes,
            received={**self.stored.received, **received},
            token_expires_at=token_expires_at or self.stored.token_expires_at,
        )

    def read(self) -> Record:
        self._fail()
        return self.stored

    def save_watch(self, watch: Watch) -> None:
        self._fail()
        self.stored = replace(self.stored, watch=watch)

    def save_drift(self, drift: DriftCheck) -> None:
        self._fail()
        self.stored = replace(self.stored, drift=drift)

    def save_rest(self, rest: Rest) -> None:
        self._fail()
        self.stored = replace(self.stored, rest=rest)

    def _fail(self) -> None:
        if self.error:
            raise self.error
