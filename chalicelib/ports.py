"""What services need of the world. The adapters are one implementation, the fakes of the tests the second."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Generic, Protocol, TypeVar

from chalicelib.domain.answer import Answer
from chalicelib.domain.audience import Member
from chalicelib.domain.audit import AuditEntry, AuditFilter
from chalicelib.domain.breaker import Breaker
from chalicelib.domain.bulk_import import Import, Refusal, Tally
from chalicelib.domain.claim import Claim
from chalicelib.domain.client import Client, ClientChange
from chalicelib.domain.dead_letter import DeadLetter, DeadQueue
from chalicelib.domain.figures import DriftCheck, QueueDepth, Record, Rest, Watch
from chalicelib.domain.journal import Line
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import Message, Outcome, Status
from chalicelib.domain.segment import Segment
from chalicelib.domain.suppression import Suppression

Clock = Callable[[], datetime]
Item = TypeVar("Item")
NewId = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items, and where the next page begins (None: this was the last one)."""

    items: Sequence[Item]
    next: str | None = None


class ClientRepository(Protocol):
    """Clients, their unique phones and their places in the audience, changed together or not at all."""

    def create(self, client: Client) -> Client:
        """Store a client, suppressed if its phone is; returns it as stored.

        Raises `ConflictError` if another client has its phone, `StaleError` if its id is taken.
        """
        ...

    def get(self, client_id: str) -> Client | None:
        """Read a client, consistently."""
        ...

    def get_many(self, client_ids: Collection[str]) -> Mapping[str, Client]:
        """Read clients, consistently; those that do not exist are missing from the answer."""
        ...

    def find_by_phone(self, phone: str) -> Client | None:
        """Read the client with this phone, consistently."""
        ...

    def find_by_phones(self, phones: Collection[str]) -> Mapping[str, Client]:
        """Read the clients with these phones, consistently; phones that nobody has are missing from the answer."""
        ...

    def change_many(self, changes: Sequence[ClientChange], under: Import, shard: int) -> Sequence[ClientChange]:
        """Create and change clients, none of whom gets another phone, and count them under an import.

        A client and its count change together or not at all. Returns the changes that were not made: the client has
        changed since it was read, or the phone of a new one is taken. `shard` (0 to 7) is of the counters: who works
        at the same time takes another.
        """
        ...

    def replace(self, before: Client, after: Client) -> Client:
        """Change a client; returns it as stored: with another phone it is suppressed if that is, and only then.

        Raises `StaleError` if it has changed since, `ConflictError` if the phone is another's.
        """
        ...

    def delete(self, client: Client) -> None:
        """Remove a client and its phone everywhere. Raises `StaleError` if it has changed since."""
        ...


class AudienceRepository(Protocol):
    """Who belongs to which part of the audience."""

    def members(self, part: str, after: str | None, limit: int) -> Page[Member]:
        """Read members of a part in order of client id, consistently; `next` is the `after` to go on with."""
        ...

    def count(self, part: str, after: str | None) -> int:
        """Count the members of a part that come after this one, without reading them."""
        ...


class SuppressionRepository(Protocol):
    """Suppressed phones. The client who has such a phone knows it at any moment: both change together or not at all."""

    def get(self, phone: str) -> Suppression | None:
        """Read the suppression of a phone, consistently."""
        ...

    def page(self, after: str | None, limit: int) -> Page[Suppression]:
        """List suppressions in a stable order; `next` is the `after` to go on with."""
        ...

    def add(self, suppression: Suppression) -> tuple[Suppression, Client | None]:
        """Suppress a phone; returns the suppression as it is stored by now, and the client who has the phone.

        Raises `StaleError` if that client has changed, come or gone meanwhile.
        """
        ...

    def add_many(self, suppressions: Sequence[Suppression], under: Import, shard: int) -> Mapping[str, Client | None]:
        """Suppress phones, each given once, and count under an import those that were not suppressed.

        A suppression and its count change together or not at all. Returns who has each phone that is suppressed by
        now, as that client is stored; a phone is missing from the answer, and not suppressed, if its client has
        changed, come or gone meanwhile. `shard` as for `ClientRepository.change_many`.
        """
        ...

    def remove(self, suppression: Suppression) -> Client | None:
        """Lift a suppression; returns the client who has the phone.

        Raises `StaleError` if it is not there any more, or that client has changed, come or gone meanwhile.
        """
        ...


class MailingRepository(Protocol):
    """Mailings. A deleted one is still read here: rows of it are about."""

    def create(self, mailing: Mailing) -> None:
        """Store a mailing."""
        ...

    def get(self, mailing_id: str) -> Mailing | None:
        """Read a mailing, consistently."""
        ...

    def replace(self, before: Mailing, after: Mailing) -> None:
        """Change a mailing. Raises `StaleError` if it has changed since `before` was read."""
        ...

    def starting_until(self, moment: datetime, limit: int) -> Sequence[Mailing]:
        """List scheduled mailings whose start is not after this moment, earliest first."""
        ...

    def page(self, status: MailingStatus | None, after: str | None, limit: int) -> Page[Mailing]:
        """List mailings that are not deleted, newest first; of one status, or of any, and then no tests."""
        ...


class SegmentRepository(Protocol):
    """The segments of mailings."""

    def change_mailing(self, before: Mailing, after: Mailing, segments: Sequence[Segment]) -> None:
        """Store the change of a mailing and what it orders in one transaction. Raises `StaleError`."""
        ...

    def get(self, mailing_id: str, segment: str) -> Segment | None:
        """Read a segment, consistently."""
        ...

    def of_mailing(self, mailing_id: str) -> Sequence[Segment]:
        """Read all segments of a mailing, consistently."""
        ...

    def save(self, segment: Segment) -> None:
        """Store how far a segment is."""
        ...

    def due(self, before: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """List (mailing id, segment) of those at which somebody must look."""
        ...


@dataclass(frozen=True, slots=True)
class DueMessage:
    """An open row at which somebody must look again, as its index tells it."""

    id: int
    mailing_id: str
    due_at: datetime


class MessageRepository(Protocol):
    """The rows, and with them the counters: both change in one transaction."""

    def plan(self, mailing: Mailing, messages: Sequence[Message]) -> Sequence[Message]:
        """Store rows that do not exist yet and count them.

        Returns the row of each pair as it is stored by now, whoever stored it; ids may differ from those given
        where another pair's row had taken one.
        """
        ...

    def plan_alone(self, mailing: Mailing, message: Message) -> Message:
        """Store a mailing together with its only row, and count that; returns the row as stored.

        Repeated, it stores nothing and returns the row as it is by now.
        """
        ...

    def lease(self, messages: Collection[Message], *, until: datetime, version: str) -> Sequence[Message]:
        """Take rows that have not changed since they were read; returns those taken, as they are now."""
        ...

    def get_many(self, ids: Collection[int]) -> Mapping[int, Message]:
        """Read rows, consistently; those that do not exist are missing from the answer."""
        ...

    def release(self, messages: Sequence[Message]) -> None:
        """Give back leased rows on which nothing was begun, as if the lease had never been."""
        ...

    def record(self, mailing_id: str, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Store outcomes with their counters; returns those stored.

        An outcome whose row has changed since is carried over (`Outcome.rebased`) or dropped.
        """
        ...

    def due(self, status: Status, shard: int, before: datetime, limit: int) -> Sequence[DueMessage]:
        """List open rows of a status in one shard of the due index whose `due_at` has passed, earliest first."""
        ...

    def move_due(self, due: Sequence[DueMessage], *, now: datetime, due_at: datetime) -> Sequence[DueMessage]:
        """Move `due_at` of rows that are still due and not leased; returns those moved."""
        ...


class ClaimRepository(Protocol):
    """Who claimed which bundle of planned rows."""

    def claim(self, bundles: Collection[str], claim: Claim, *, expires_at: datetime) -> Mapping[str, Claim]:
        """Claim bundles that nobody has claimed yet; returns the claim that stands for each of them.

        A claim can be forgotten from `expires_at` on.
        """
        ...

    def find(self, bundles: Collection[str]) -> Mapping[str, Claim]:
        """Read the claims on bundles, consistently; what nobody claimed is missing from the answer."""
        ...


class MessageLists(Protocol):
    """Which messages a mailing or a client has: ids, in a stable order; the newest may be missing for a moment."""

    def of_mailing(self, mailing: Mailing, after: str | None, limit: int) -> Page[int]:
        """List ids of a mailing's messages; `next` is the `after` to go on with."""
        ...

    def of_part(self, part: str, after: str | None, limit: int) -> Page[int]:
        """List ids of one partition (`Mailing.message_parts`); `next` is the `after` to go on with."""
        ...

    def of_client(self, client_id: str, after: str | None, limit: int) -> Page[int]:
        """List ids of a client's messages; `next` is the `after` to go on with."""
        ...


class CounterRepository(Protocol):
    """The counters of mailings."""

    def totals(self, mailing_id: str) -> "MailingCounters":
        """Add up the counters of a mailing, consistently."""
        ...

    def per_minute(self, mailing_id: str, limit: int) -> Sequence[tuple[datetime, Counter[str]]]:
        """List the counters of the latest minutes (UTC) in which something was counted, in order of time."""
        ...

    def sent_since(self, mailing_id: str, moment: datetime) -> int:
        """Count the messages sent since the beginning of this minute."""
        ...

    def sent_between(self, mailing_id: str, moments: Sequence[datetime]) -> Sequence[int]:
        """Count the messages sent from each of these moments until the next one, to the minute; one less than moments.

        The moments are in order of time.
        """
        ...

    def adjust(self, mailing_id: str, changes: Mapping[str, int], repairs: int) -> None:
        """Add to counters, at once and whatever else is being counted.

        Raises `StaleError`, and adds nothing, unless `repairs` is how often this was done before.
        """
        ...


@dataclass(frozen=True, slots=True)
class MailingCounters:
    """Counters of a mailing by name (`sent`, `deferred.retry`, `attempts`, `error.http_503`), over all shards.

    `first_sent_at` and `last_sent_at` may be a second or two off: they are of what was recorded first and last.
    `repairs` tells how often the counters were adjusted to the rows.
    """

    counts: Counter[str]
    first_sent_at: datetime | None = None
    last_sent_at: datetime | None = None
    repairs: int = 0


class ControlRepository(Protocol):
    """What all senders share: the breaker, the pace of requests, and how many are in flight."""

    def breaker(self) -> Breaker:
        """Read the breaker, consistently."""
        ...

    def change_breaker(self, after: Breaker) -> None:
        """Store the next version of the breaker. Raises `StaleError` if another has that number already."""
        ...

    def reserve_slots(
        self, count: int, interval: timedelta, *, now: datetime, horizon: datetime
    ) -> tuple[datetime | None, datetime]:
        """Reserve moments to begin requests at, which nobody else has.

        Returns:
            The first of them, None if no free one is before the horizon; and the first that is free after that.
        """
        ...

    def take_in_flight(self, owner: str, wanted: int, limit: int, *, now: datetime, until: datetime) -> int:
        """Take a share of the requests that may be in flight at once, for a time; says how many, maybe 0."""
        ...

    def give_back_in_flight(self, owner: str) -> None:
        """Give the share back, if there is one."""
        ...


class ReportClaims(Protocol):
    """Of which days the report was sent, and who is about to send it. Everything may raise `TransientError`."""

    def claim(self, day: date, owner: str, *, now: datetime, until: datetime) -> bool:
        """Take a day whose report was not sent, and that nobody else has; tell whether it was taken.

        It is free again after `until`. A call that is repeated by the same owner takes it again.
        """
        ...

    def give_back(self, day: date, owner: str) -> None:
        """Free a day at once, if it is still this owner's."""
        ...

    def record_sent(self, day: date, at: datetime) -> None:
        """Note that the report was sent, whoever has the day by now."""
        ...


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail with two bodies that say the same.

    Attributes:
        sender: its address.
        language: of both bodies, such as `en`.
    """

    sender: str
    recipients: Sequence[str]
    subject: str
    text: str
    html: str
    language: str


class Mailer(Protocol):
    """Sends e-mail."""

    def send(self, mail: Mail) -> None:
        """Hand a mail over, to all of its recipients or none.

        Raises:
            RefusedMailError: it was not taken, and says why.
            TransientError: nobody knows whether it was.
        """
        ...


class FigureRepository(Protocol):
    """What is kept for those who watch Vestnik. Everything raises `TransientError`."""

    def add(
        self, changes: Counter[str], received: Mapping[str, datetime], token_expires_at: datetime | None = None
    ) -> None:
        """Add to counts, and store what is given, in one write; nothing guards it against being sent twice."""
        ...

    def read(self) -> Record:
        """Read all of it."""
        ...

    def save_watch(self, watch: Watch) -> None:
        """Store what the dispatcher's minute saw."""
        ...

    def save_drift(self, drift: DriftCheck) -> None:
        """Store what the nightly check found."""
        ...

    def save_rest(self, rest: Rest) -> None:
        """Store the count of mailings that ended long ago."""
        ...


class AuditTrail(Protocol):
    """Entries of the audit trail."""

    def save(self, entry: AuditEntry) -> None:
        """Store an entry, or its outcome over what was begun. Raises `TransientError`."""
        ...

    def page(self, meant: AuditFilter, now: datetime, after: str | None, limit: int) -> Page[AuditEntry]:
        """List entries of the last year, newest first; a page may be short, `next` tells whether there is more."""
        ...


class ImportRepository(Protocol):
    """Imports, their counters and the rows that were refused."""

    def create(self, new: Import) -> None:
        """Store an import."""
        ...

    def get(self, import_id: str) -> Import | None:
        """Read an import, consistently."""
        ...

    def replace(self, before: Import, after: Import, refusals: Sequence[Refusal] = ()) -> None:
        """Store how far an import is, and which rows were refused on the way (at most 500).

        Raises `StaleError` if somebody else has stored more since `before` was read.
        """
        ...

    def tally(self, import_id: str) -> Tally:
        """Add up what was counted under an import, consistently."""
        ...

    def refusals(self, import_id: str, after: str | None, limit: int) -> Page[Refusal]:
        """List refused rows in order of their lines; `next` is the `after` to go on with."""
        ...

    def due(self, before: datetime, limit: int) -> Sequence[str]:
        """List imports at which somebody must look."""
        ...


@dataclass(frozen=True, slots=True)
class UploadForm:
    """How to upload a file: POST these fields as `multipart/form-data`, and the file after them as `file`."""

    url: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file that is there; `etag` tells it from another in its place."""

    size_bytes: int
    etag: str


class Uploads(Protocol):
    """Files that users upload, one for each import. What can fail raises `TransientError`."""

    def form(self, import_id: str, max_bytes: int, lifetime: timedelta, then: str | None = None) -> UploadForm:
        """Allow whoever has this form to upload the file, for a time; a browser is sent to the address `then`."""
        ...

    def find(self, import_id: str) -> Uploaded | None:
        """Look whether the file is there."""
        ...

    def read(self, import_id: str, etag: str, start: int, length: int) -> bytes:
        """Read so many bytes, or those that are left. Raises `UnreadableFileError` if the file is not that one."""
        ...


class TicketQueue(Protocol):
    """A queue of tickets: hints to look at rows."""

    def send_messages(self, mailing: Mailing, tickets: Sequence[tuple[Sequence[int], timedelta]]) -> None:
        """Queue tickets for messages of a mailing (at most 24 ids each), each after a delay of at most 15 min."""
        ...

    def send_segments(self, mailing_id: str, segments: Sequence[str], delay: timedelta = timedelta()) -> None:
        """Queue a plan ticket for each segment, after a delay of at most 15 min."""
        ...

    def send_import(self, import_id: str) -> None:
        """Queue a ticket for an import."""
        ...

    def backlog(self, *, delayed: bool = False) -> int:
        """Count the tickets of messages that wait, approximately; with those that wait for their delay, or without."""
        ...

    def waiting(self) -> Mapping[str, int]:
        """Count the tickets that wait in each queue, with those that wait for their delay, approximately."""
        ...

    def depths(self) -> Mapping[str, QueueDepth]:
        """Count the tickets of each queue by what they wait for, approximately."""
        ...


class DeadLetters(Protocol):
    """The dead-letter queues. Everything raises `TransientError` when they do not answer."""

    def receive(self, queue: DeadQueue, hidden_for: timedelta) -> Sequence[DeadLetter]:
        """Receive some letters and hide them from everybody else for a while; none: there are no more to see."""
        ...

    def give_back(self, letters: Sequence[DeadLetter]) -> None:
        """Show letters again at once."""
        ...

    def put_back(self, letter: DeadLetter) -> None:
        """Send the body of a ticket, as it is, to the queue that its dead-letter queue belongs to."""
        ...

    def delete(self, letter: DeadLetter) -> None:
        """Delete a letter that was received."""
        ...

    def waiting(self, queue: DeadQueue) -> int:
        """Count the letters that are not hidden, approximately."""
        ...


class FunctionLogs(Protocol):
    """What the functions logged."""

    def pages(self, function: str, terms: Sequence[str], since: datetime) -> Iterator[Sequence[Line]]:
        """Yield a function's lines that contain all terms, in the order of arrival, one answer of the log at a time.

        An answer may hold none. Raises `NotFoundError` if the function has no log, `TransientError` if it fails.
        """
        ...


class Scheduler(Protocol):
    """Starts mailings at their time."""

    def put(self, mailing: Mailing) -> None:
        """Have the planner called at `start_at`; moves the schedule if there is one."""
        ...

    def remove(self, mailing_id: str) -> None:
        """Take the schedule away, if there is one."""
        ...

    def start_now(self, mailing_id: str) -> None:
        """Call the planner at once, without waiting for it."""
        ...


class Provider(Protocol):
    """The external service that takes messages."""

    def send(self, message_id: int, phone: str, text: str, timeout_seconds: float) -> Answer:
        """Make one request; it is over within the time, whatever the other side does. Never raises."""
        ...
