"""A user with sense: repeats what met a 503, but first looks whether it took effect all the same."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

from tests.faults.auditor import Audit, audit, read_tables
from tests.faults.in_process import PREFIX, InProcess
from tests.gateway import Answer
from tests.running_stack import poll

ZONE = "+00:00"
TRIES = 20  # more than a storm has faults
MILLISECOND = timedelta(milliseconds=1)
NOT_FOUND, UNAVAILABLE = 404, 503
SENT = frozenset({"sent"})
Found = Callable[[], Any]


@dataclass
class User:
    """Works with one deployment, and remembers what was asked for.

    Attributes:
        clients: the audience of every mailing; id -> time zone.
        phones: of all clients, in the order of their making.
    """

    deployment: InProcess
    clients: dict[str, str] = field(default_factory=dict)
    phones: list[str] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: count(79_160_000_000))

    def ask(self, method: str, path: str, body: object = None, *, wanted: int = 200, found: Found | None = None) -> Any:  # noqa: ANN401
        """Call the API until it does not say 503; returns the content of the answer.

        Args:
            method: of HTTP.
            path: with its query.
            body: sent as JSON.
            wanted: the status of success.
            found: looks whether a call that was answered 503 took effect; what it finds then counts as the answer.

        Raises:
            AssertionError: the API answered anything else.
        """
        for _ in range(TRIES):
            answer = self.deployment.request(method, path, body)
            if answer.status != UNAVAILABLE:
                assert answer.status == wanted, f"{method} {path} answered {answer.status}: {answer.text}"
                return answer.json if answer.text else None
            if found and (there := found()):
                return there
        raise AssertionError(f"{method} {path} keeps answering 503")

    def ask_with_key(self, path: str, body: object, *, wanted: int = 201) -> Any:  # noqa: ANN401
        """Post with an idempotency key, again and again until there is an answer; never looks what came of it.

        Raises:
            AssertionError: the API answered anything else.
        """
        headers = {"Idempotency-Key": str(uuid4())}
        answer = poll(
            lambda: self.deployment.request("POST", path, body, headers),
            until=lambda answer: answer.status != UNAVAILABLE and "Retry-After" not in answer.headers,
            deadline_seconds=60,
        )
        assert answer.status == wanted, f"POST {path} answered {answer.status}: {answer.text}"
        return answer.json

    def look(self, page: str) -> str:
        """Look at one of the administrator's pages, again if it says 503; returns its HTML.

        Raises:
            AssertionError: it is something else than a page.
        """
        for _ in range(TRIES):
            answer = self.deployment.look(page)
            if answer.status != UNAVAILABLE:
                assert answer.status == 200, f"{page} answered {answer.status}: {answer.text}"
                return answer.text
        raise AssertionError(f"{page} keeps answering 503")

    def all_of(self, path: str) -> list[Any]:
        """Read a list to its end."""
        joint = "&" if "?" in path else "?"
        page = self.ask("GET", path)
        items: list[Any] = page["items"]
        while page["next"]:
            page = self.ask("GET", f"{path}{joint}cursor={page['next']}")
            items += page["items"]
        return items

    # Clients

    def add_clients(self, number: int, tag: str = "a") -> list[str]:
        """Create clients, and count them to the audience."""
        ids = [self.add_client(str(next(self._numbers)), tag) for _ in range(number)]
        self.clients |= dict.fromkeys(ids, ZONE)
        return ids

    def add_client(self, phone: str, tag: str) -> str:
        """Create a client."""
        body = {"phone": phone, "tag": tag, "timezone": ZONE}
        made = self.ask("POST", "/clients", body, wanted=201, found=lambda: self._first(f"/clients?phone={phone}"))
        self.phones.append(phone)
        return str(made["id"])

    def delete(self, path: str) -> None:
        """Delete a client or a mailing."""
        self.ask("DELETE", path, wanted=204, found=lambda: self._look(path).status == NOT_FOUND)

    # Mailings

    def mail(
        self, *, after: timedelta = timedelta(), lasting: timedelta = timedelta(hours=6), **changes: object
    ) -> str:
        """Create a mailing."""
        start_at = self.deployment.clock() + after
        body = {"start_at": start_at.isoformat(), "end_at": (start_at + lasting).isoformat(), "text": "Hello"}
        made = self.ask("POST", "/mailings", body | changes, wanted=201, found=lambda: self._starting(start_at))
        return str(made["id"])

    def control(self, mailing_id: str, action: str, *reached: str) -> None:
        """Start, pause, resume, cancel or retry a mailing; `reached` are states that show that it was done."""
        path = f"/mailings/{mailing_id}"
        self.ask("POST", f"{path}/{action}", found=lambda: self._in_state(path, reached))

    def change(self, mailing_id: str, **changes: object) -> None:
        """Change a mailing."""
        self.ask("PATCH", f"/mailings/{mailing_id}", changes)

    def state_of(self, mailing_id: str) -> str:
        """Tell the status of a mailing."""
        return str(self.ask("GET", f"/mailings/{mailing_id}")["status"])

    def rows(self, mailing_id: str) -> list[dict[str, Any]]:
        """Read all messages of a mailing."""
        return self.all_of(f"/mailings/{mailing_id}/messages")

    # What came of it

    def stands(self, mailing_id: str, *, status: str = "finished", ends: frozenset[str] = SENT) -> Audit:
        """Audit a mailing as it stands, which should have this status."""
        stored = read_tables(self.deployment.client("dynamodb"), PREFIX, mailing_id)
        mailing = stored.mailing
        if mailing.status == status:
            mailing = replace(mailing, status="finished")
        return audit(
            mailing_id,
            mailing=mailing,
            clients=self.clients,
            rows=stored.rows,
            counters=stored.counters,
            requests=self.deployment.provider.seen,
            faults=1,
            ends=ends,
        )

    def ended(self, mailing_id: str, *, status: str = "finished", ends: frozenset[str] = SENT) -> Audit:
        """Let time pass until all is as it should be, or everybody has had their turn; then audit."""
        self.deployment.heal(until=lambda: self.stands(mailing_id, status=status, ends=ends).kept)
        return self.stands(mailing_id, status=status, ends=ends)

    def _starting(self, start_at: datetime) -> Any:  # noqa: ANN401 - an item of JSON
        there = ((one, datetime.fromisoformat(one["start_at"])) for one in self.all_of("/mailings"))
        return next((one for one, at in there if abs(at - start_at) < MILLISECOND), None)

    def _first(self, path: str) -> Any:  # noqa: ANN401 - an item of JSON
        return next(iter(self.ask("GET", path)["items"]), None)

    def _in_state(self, path: str, states: tuple[str, ...]) -> bool:
        return self.ask("GET", path)["status"] in states

    def _look(self, path: str) -> Answer:
        """Read what may be there or not."""
        for _ in range(TRIES):
            answer = self.deployment.request("GET", path)
            if answer.status != UNAVAILABLE:
                break
        return answer


def at(moment: datetime) -> str:
    """Write the time of day, as windows name it."""
    return f"{moment:%H:%M}"
