import threading
from dataclasses import dataclass, field
from datetime import date, datetime

from chalicelib.errors import RefusedMailError, TransientError
from chalicelib.ports import Mail


@dataclass
class FakeMailer:
    """A mail service in memory (port: `Mailer`).

    Attributes:
        refusal: what it says of each mail, if set.
        silent: it takes mails and does not answer.
    """

    sent: list[Mail] = field(default_factory=list)
    refusal: str | None = None
    silent: bool = False

    def send(self, mail: Mail) -> None:
        if self.refusal:
            raise RefusedMailError(self.refusal)
        self.sent.append(mail)
        if self.silent:
            raise TransientError("no answer")


class FakeReportClaims:
    """Claims of days in memory (port: `ReportClaims`). Thread-safe."""

    def __init__(self) -> None:
        self._claims: dict[date, tuple[str, datetime]] = {}
        self.sent: dict[date, datetime] = {}
        self._lock = threading.Lock()

    def claim(self, day: date, owner: str, *, now: datetime, until: datetime) -> bool:
        with self._lock:
            by, claimed_until = self._claims.get(day, (owner, now))
            if day in self.sent or (by != owner and claimed_until >= now):
                return False
            self._claims[day] = owner, until
            return True

    def give_back(self, day: date, owner: str) -> None:
        with self._lock:
            if self._claims.get(day, ("", None))[0] == owner:
                del self._claims[day]

    def record_sent(self, day: date, at: datetime) -> None:
        with self._lock:
            self.sent[day] = at
