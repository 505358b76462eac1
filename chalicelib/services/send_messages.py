"""Work off tickets of messages: lease their rows, have them delivered in parallel, record what came of it."""

import logging
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.correlation import CORRELATION_ID, correlated
from chalicelib.domain.breaker import Hold
from chalicelib.domain.claim import Claim
from chalicelib.domain.client import Client
from chalicelib.domain.delivery import is_sent_at
from chalicelib.domain.message import Message, Outcome
from chalicelib.domain.tickets import MessagesTicket, deal_out, delays
from chalicelib.errors import TransientError
from chalicelib.observability import lines
from chalicelib.ports import ClientRepository, Clock, MessageRepository, NewId, TicketQueue
from chalicelib.services.bundles import Bundles
from chalicelib.services.deliver_message import DeliverMessage, Undone
from chalicelib.services.finish_mailing import FinishMailing

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
FLUSH_AFTER = timedelta(seconds=1)
FULL = 96  # outcomes of four tickets
CLAIM_MARGIN = timedelta(seconds=1)  # behind the end of a claim, whose last moment is still its owner's
NO_SHARE = (1.0, 3.0)  # seconds, for tickets of a run that may make no request


@dataclass(frozen=True, slots=True)
class SendMessages:
    """Sends the messages of some tickets.

    A ticket is done once rows hold the truth: each of its rows ended, waits with a `due_at`, is another sender's,
    or has a new ticket. Killed anywhere: the tickets come back after the visibility timeout, leases are over by
    then, and rows whose outcome was recorded are left alone.
    """

    deliver: DeliverMessage
    clients: ClientRepository
    messages: MessageRepository
    bundles: Bundles
    tickets: TicketQueue
    finish: FinishMailing
    clock: Clock
    new_id: NewId
    executor: Executor
    threads: int

    def __call__(self, tickets: Sequence[MessagesTicket], stop_at: datetime) -> set[int]:
        """Send until all is done or the time is over; what was not begun by then goes back as new tickets.

        Args:
            tickets: of any mailings.
            stop_at: when everything must be recorded.

        Returns:
            The positions of tickets that failed by a fault of ours and must be delivered again.
        """
        return _Run(self, tickets, stop_at).run()


@dataclass(frozen=True, slots=True)
class _Result:
    position: int
    message: Message
    outcome: Outcome | Undone | None
    """None: the attempt failed by a fault of ours."""


class _Results:
    """What threads bring back. Whoever waits for it is woken when there is enough of it, not by each."""

    def __init__(self) -> None:
        self._brought: list[_Result] = []
        self._enough = 1
        self._changed = threading.Condition()

    def put(self, result: _Result) -> None:
        with self._changed:
            self._brought.append(result)
            if len(self._brought) >= self._enough:
                self._changed.notify()

    def take(self, enough: int, most: int, seconds: float | None) -> list[_Result]:
        """Wait for enough, at the longest for so long, and take what is there, the most that is wanted."""
        with self._changed:
            self._enough = enough
            self._changed.wait_for(lambda: len(self._brought) >= enough, seconds)
            taken, self._brought = self._brought[:most], self._brought[most:]
            return taken


class _Run:
    """One batch of tickets on its way."""

    def __init__(self, service: SendMessages, tickets: Sequence[MessagesTicket], stop_at: datetime) -> None:
        self._service = service
        self._stop_at = stop_at
        self._owner = service.new_id()
        self._begin_until = stop_at - service.deliver.policy.request_timeout
        self._waiting = deque(_once(tickets))
        self._correlation_ids = {ticket.mailing_id: ticket.correlation_id for ticket in tickets}
        self._flying = 0
        self._begin_below = 0  # of rows that are flying; from there on it is time for the next
        self._results = _Results()
        self._to_record: list[_Result] = []
        self._flush_at: datetime | None = None
        self._to_release: list[_Result] = []
        self._mailings_touched: set[str] = set()
        self._failed: set[int] = set()

    def run(self) -> set[int]:
        gate = self._service.deliver.gate
        with lines.gathering(), gate.run(self._stop_at) as may_request:
            if not may_request:
                self._hand_on(timedelta(seconds=gate.uniform(*NO_SHARE)))
            while self._waiting or self._flying:
                self._begin_some()
                if self._flying:
                    self._collect()
            self._flush()
            while self._to_record:
                self._collect()
        self._give_back()
        self._finish()
        if self._service.clock() < self._stop_at:  # else the next run of this process does
            self._service.deliver.tally.write()
        return self._failed

    def _begin_some(self) -> None:
        """Keep every thread busy while the next rows are leased, and lease no more than that."""
        gate = self._service.deliver.gate
        while self._waiting:
            at_once = gate.rows_at_once(FULL)
            self._begin_below = at_once if at_once < FULL else self._service.threads + FULL
            if self._flying >= self._begin_below:
                return
            if self._service.clock() >= self._begin_until:
                self._hand_on()
            elif hold := gate.hold():
                self._put_back(hold)
            else:
                self._begin(self._next_tickets(at_once), together=at_once >= FULL)

    def _next_tickets(self, rows: int) -> list[tuple[int, MessagesTicket]]:
        """Take tickets for so many rows; what is too many of a ticket waits on."""
        taken = []
        while self._waiting and rows > 0:
            position, ticket = self._waiting.popleft()
            if len(ticket.message_ids) > rows:
                head, tail = ticket.parted(rows)
                self._waiting.appendleft((position, tail))
                ticket = head
            rows -= len(ticket.message_ids)
            taken.append((position, ticket))
        return taken

    def _put_back(self, hold: Hold) -> None:
        """Have the tickets come again when the provider may be back.

        Their rows are not touched: a large mailing would cost a write per row and probe. Where the mailing is not to
        be sent at all, they are: the provider has no say in that.
        """
        now = self._service.clock()
        held = []
        while self._waiting:
            position, ticket = self._waiting.popleft()
            mailing = self._service.deliver.mailings.get(ticket.mailing_id)
            if mailing is not None and is_sent_at(mailing, now):
                held.append((position, ticket, max(min(hold.until, mailing.end_at) - now, timedelta())))
            else:
                self._begin([(position, ticket)], together=True)
        self._send_again(held)

    def _begin(self, tickets: Sequence[tuple[int, MessagesTicket]], *, together: bool) -> None:
        service = self._service
        positions = {id_: position for position, ticket in tickets for id_ in ticket.message_ids}
        try:
            rows = service.messages.get_many(positions.keys())
            now = service.clock()
            taken = service.bundles.take(rows.values(), Claim(self._owner, now + LEASE), now, together=together)
            read_at = service.clock()
            clients = service.clients.get_many({row.client_id for row in taken.ours})
        except Exception:
            logger.exception("tickets could not be begun", extra=_ids_of(tickets))
            self._failed.update(positions.values())
            return
        if missing := positions.keys() - rows.keys():
            logger.warning("rows do not exist: dropped", extra=_ids_of(tickets) | {"message_ids": sorted(missing)})
        if others := rows.keys() - {row.id for row in taken.ours}:
            logger.info("rows ended or in other hands", extra=_ids_of(tickets) | {"message_ids": sorted(others)})
        self._look_again(taken.later, positions)
        for row in taken.ours:
            self._flying += 1
            service.executor.submit(self._deliver, positions[row.id], row, clients.get(row.client_id), read_at)

    def _look_again(self, rows: Iterable[Message], positions: Mapping[int, int]) -> None:
        """Queue tickets for rows of bundles that others have claimed: those may be about other rows of them."""
        now = self._service.clock()
        by_mailing = defaultdict(list)
        for row in rows:
            left = (row.lease_until or now) - now
            by_mailing[row.mailing_id].append((row, max(left, timedelta()) + CLAIM_MARGIN))
        for mailing_id, group in by_mailing.items():
            try:
                self._queue(mailing_id, delays(group))
            except Exception:
                logger.exception("tickets could not be put off", extra=self._ids(mailing_id))
                self._failed.update(positions[row.id] for row, _ in group)

    def _deliver(self, position: int, message: Message, client: Client | None, read_at: datetime) -> None:
        outcome: Outcome | Undone | None = None
        ids: dict[str, str | int] = {"message_id": message.id, "client_id": message.client_id}
        try:
            with correlated(self._correlation_ids[message.mailing_id], mailing_id=message.mailing_id, **ids):
                outcome = self._service.deliver(message, client, read_at, self._begin_until)
        except Exception:
            logger.exception("delivery failed", extra=self._ids(message.mailing_id) | ids)
        finally:
            self._results.put(_Result(position, message, outcome))

    def _collect(self) -> None:
        """Wait until there is something to do: outcomes to record, or rows to begin."""
        room = max(FULL - len(self._to_record), 1)
        enough, wait = 1, None
        if self._flush_at:
            wait = max((self._flush_at - self._service.clock()).total_seconds(), 0)
            until_next = self._flying - self._begin_below + 1 if self._waiting else self._flying
            enough = max(min(room, self._flying, until_next), 1)
        results = self._results.take(enough, room, wait)
        for result in results:
            self._take(result)
        is_due = len(results) < enough or (self._flush_at and self._service.clock() >= self._flush_at)
        if is_due or len(self._to_record) >= FULL:
            self._flush()

    def _take(self, result: _Result) -> None:
        self._flying -= 1
        if isinstance(result.outcome, Outcome):
            self._to_record.append(result)
            self._flush_at = self._flush_at or self._service.clock() + FLUSH_AFTER
        elif result.outcome is None:
            self._failed.add(result.position)
        else:
            self._to_release.append(result)

    def _flush(self) -> None:
        """Record outcomes, then queue a delayed ticket for each row that waits.

        What cannot be recorded is tried again as long as there is time: a request whose outcome is lost is repeated.
        """
        lines.pass_on()  # first: of each request that is recorded there is a line
        results, self._to_record, self._flush_at = self._to_record, [], None
        for mailing_id, share in _by_mailing(results).items():
            outcomes = [result.outcome for result in share if isinstance(result.outcome, Outcome)]
            try:
                stored = self._service.messages.record(mailing_id, outcomes)
            except Exception as error:
                logger.exception("outcomes could not be recorded", extra=self._ids(mailing_id))
                if isinstance(error, TransientError) and self._service.clock() < self._stop_at:
                    self._to_record += share
                    self._flush_at = self._service.clock() + FLUSH_AFTER
                else:
                    self._failed.update(result.position for result in share)
                continue
            self._service.deliver.tally.recorded(stored)
            self._queue_again(mailing_id, [outcome.after for outcome in stored if outcome.after.not_before])
            if any(not outcome.after.is_open for outcome in stored):
                self._mailings_touched.add(mailing_id)

    def _queue_again(self, mailing_id: str, deferred: Sequence[Message]) -> None:
        if not deferred:
            return
        now = self._service.clock()
        waits = [(row, max((row.not_before or now) - now, timedelta())) for row in deferred]
        try:
            self._queue(mailing_id, delays(waits))
        except TransientError:
            logger.warning("delayed tickets not queued; due_at brings them back", extra=self._ids(mailing_id))

    def _give_back(self) -> None:
        """Release rows without a request; those that had no time left get a new ticket."""
        for mailing_id, results in _by_mailing(self._to_release).items():
            again = [result.message.id for result in results if result.outcome is Undone.NOT_BEGUN]
            try:
                self._service.messages.release([result.message for result in results])
                self._queue(mailing_id, [(ids, timedelta()) for ids in deal_out(again)])
            except Exception:
                logger.exception("rows could not be given back", extra=self._ids(mailing_id))
                self._failed.update(result.position for result in results)

    def _hand_on(self, delay: timedelta = timedelta()) -> None:
        """Send the tickets that were not begun again, so that they do not count as failures."""
        self._send_again([(position, ticket, delay) for position, ticket in self._waiting])
        self._waiting.clear()

    def _send_again(self, tickets: Iterable[tuple[int, MessagesTicket, timedelta]]) -> None:
        by_mailing = defaultdict(list)
        for position, ticket, delay in tickets:
            by_mailing[ticket.mailing_id].append((position, ticket.message_ids, delay))
        for mailing_id, group in by_mailing.items():
            try:
                self._queue(mailing_id, [(ids, delay) for _, ids, delay in group])
            except Exception:
                logger.exception("tickets could not be handed on", extra=self._ids(mailing_id))
                self._failed.update(position for position, _, _ in group)

    def _queue(self, mailing_id: str, tickets: Sequence[tuple[Sequence[int], timedelta]]) -> None:
        mailing = self._service.deliver.mailings.get(mailing_id)
        if mailing is None:
            logger.warning("tickets dropped: there is no such mailing", extra=self._ids(mailing_id))
        elif tickets:
            with correlated(self._correlation_ids[mailing_id]):
                self._service.tickets.send_messages(mailing, tickets)

    def _ids(self, mailing_id: str) -> dict[str, object]:
        return {"mailing_id": mailing_id, CORRELATION_ID: self._correlation_ids[mailing_id]}

    def _finish(self) -> None:
        for mailing_id in self._mailings_touched:
            try:
                self._service.finish(mailing_id)
            except TransientError:
                logger.warning("mailing not looked at; the dispatcher does", extra=self._ids(mailing_id))


def _once(tickets: Iterable[MessagesTicket]) -> Iterator[tuple[int, MessagesTicket]]:
    """Number tickets, and leave each message to the first that names it.

    What a run has claimed is its own, also when it meets the same ticket again while the first is on its way.
    """
    seen: set[int] = set()
    for position, ticket in enumerate(tickets):
        ids = [id_ for id_ in dict.fromkeys(ticket.message_ids) if id_ not in seen]
        seen.update(ids)
        if ids:
            yield position, ticket.model_copy(update={"message_ids": ids})


def _by_mailing(results: Iterable[_Result]) -> dict[str, list[_Result]]:
    grouped = defaultdict(list)
    for result in results:
        grouped[result.message.mailing_id].append(result)
    return grouped


def _ids_of(tickets: Iterable[tuple[int, MessagesTicket]]) -> dict[str, object]:
    return {
        "mailing_ids": sorted({ticket.mailing_id for _, ticket in tickets}),
        "correlation_ids": sorted({ticket.correlation_id for _, ticket in tickets if ticket.correlation_id}),
    }
