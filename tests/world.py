"""Vestnik on fakes: its use cases wired as `bootstrap` wires them, around one clock."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count, islice

from chalicelib.domain.audience import parts_of
from chalicelib.domain.backoff import Backoff
from chalicelib.domain.breaker import BreakerPolicy
from chalicelib.domain.client import Client
from chalicelib.domain.delivery import Policy
from chalicelib.domain.mailing import Mailing
from chalicelib.domain.message import OPEN, Message
from chalicelib.domain.tickets import MessagesTicket
from chalicelib.ports import ClaimRepository, CounterRepository, MessageRepository, SegmentRepository, TicketQueue
from chalicelib.services.bundles import Bundles
from chalicelib.services.cached_mailings import CachedMailings
from chalicelib.services.check_changed import CheckChanged
from chalicelib.services.check_drift import CheckDrift
from chalicelib.services.control_mailings import ControlMailings
from chalicelib.services.count_audience import CountAudience
from chalicelib.services.count_rest import CountRest
from chalicelib.services.deliver_message import DeliverMessage
from chalicelib.services.dispatch_due import DispatchDue
from chalicelib.services.finish_mailing import FinishMailing
from chalicelib.services.follow_client import FollowClient
from chalicelib.services.manage_clients import ManageClients
from chalicelib.services.manage_mailings import ManageMailings
from chalicelib.services.order_sweep import OrderSweep
from chalicelib.services.plan_mailing import PlanMailing
from chalicelib.services.plan_segment import PlanSegment
from chalicelib.services.preview_mailing import PreviewMailing, Price
from chalicelib.services.provider_gate import ProviderGate
from chalicelib.services.provider_limits import InFlight, Pace
from chalicelib.services.read_figures import ReadFigures
from chalicelib.services.repair_counters import RepairCounters
from chalicelib.services.resume_imports import ResumeImports
from chalicelib.services.send_messages import SendMessages
from chalicelib.services.send_test import SendTest
from chalicelib.services.shared_breaker import SharedBreaker
from chalicelib.services.slow_start import SlowStart
from chalicelib.services.start_due import StartDue
from chalicelib.services.suppress_phones import SuppressPhones
from chalicelib.services.sweep_messages import SweepMessages
from chalicelib.services.tally import Tally
from tests.builders import client, ulid
from tests.fakes.claims import FakeClaimRepository
from tests.fakes.clients import FakeClientRepository
from tests.fakes.clock import FakeClock
from tests.fakes.control import FakeControlRepository
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.executors import InlineExecutor
from tests.fakes.figures import FakeFigureRepository
from tests.fakes.imports import FakeImportRepository
from tests.fakes.mailings import FakeMailingRepository
from tests.fakes.message_lists import FakeMessageLists
from tests.fakes.messages import DUE_SHARDS, FakeMessageRepository, recount, without_errors
from tests.fakes.provider import FakeProvider
from tests.fakes.queues import FakeTicketQueue
from tests.fakes.scheduler import FakeScheduler
from tests.fakes.segments import FakeSegmentRepository
from tests.fakes.suppressions import FakeSuppressionRepository
from tests.fakes.watched import Hook, watched

QUEUED_GRACE = timedelta(minutes=15)
RUN_TIME = timedelta(seconds=27)  # of a function that has 30 s
POLICY = Policy(Backoff(2, 900), max_attempts=20, request_timeout=timedelta(seconds=10))
BREAKER_POLICY = BreakerPolicy(
    failures=10,
    first_probe=timedelta(seconds=2),
    probe_cap=timedelta(seconds=15),
    request_timeout=timedelta(seconds=10),
)
MESSAGE_WRITES = ("plan", "plan_alone", "lease", "release", "record", "move_due")
QUEUE_WRITES = ("send_messages", "send_segments")
SEGMENT_WRITES = ("change_mailing", "save")
MAILING_WRITES = ("replace",)
COUNTER_WRITES = ("adjust",)


def clients(number: int, first: int = 1, **changes: object) -> list[Client]:
    return [client(id=ulid(n), phone=f"7916{n:07d}", **changes) for n in range(first, first + number)]


def clients_of_one_shard(number: int, **changes: object) -> list[Client]:
    """Make clients that share one partition of each part of the audience that they are in."""
    numbers = (n for n in count(1) if parts_of(client(id=ulid(n)))[0].endswith("#00"))
    return [one for n in islice(numbers, number) for one in clients(1, first=n, **changes)]


def middle(low: float, high: float) -> float:
    """Draw from a range without chance."""
    return (low + high) / 2


@dataclass
class World:
    """Everything that lasts; what a function makes of it is built anew for each call, as Lambda may.

    `hook` stands beside each write (see `tests.fakes.watched`).
    """

    clock: FakeClock = field(default_factory=FakeClock)
    clients: FakeClientRepository = field(default_factory=FakeClientRepository)
    mailings: FakeMailingRepository = field(default_factory=FakeMailingRepository)
    messages: FakeMessageRepository = field(default_factory=FakeMessageRepository)
    scheduler: FakeScheduler = field(default_factory=FakeScheduler)
    provider: FakeProvider = field(default_factory=FakeProvider)
    policy: Policy = POLICY
    control_items: FakeControlRepository = field(default_factory=FakeControlRepository)
    breaker_policy: BreakerPolicy = BREAKER_POLICY
    figures: FakeFigureRepository = field(default_factory=FakeFigureRepository)
    per_second: float | None = None
    at_once: int | None = None
    plan_segments: int = 3
    express_max_clients: int = -1  # no mailing is small here, unless a test wants one
    hook: Hook | None = None

    def __post_init__(self) -> None:
        self.claims = FakeClaimRepository()
        self.segments = FakeSegmentRepository(self.mailings)
        self.suppressions = FakeSuppressionRepository(self.clients)
        self.messages.mailings = self.mailings
        self.imports = FakeImportRepository(self.clients.tallies)
        self.tickets = FakeTicketQueue(self.clock)
        self.lists = FakeMessageLists(stored=lambda: list(self.messages.stored.values()))
        self.tally = Tally(self.figures, lambda: None)
        self.metrics: list[tuple[str, int]] = []
        self._versions = count(1)
        self._shared_breaker: SharedBreaker | None = None
        self._ids = count(100)

    def add_clients(self, some: Iterable[Client]) -> None:
        for one in some:
            self.clients.create(one)

    # What the API does

    def order_sweep(self) -> OrderSweep:
        return OrderSweep(self._segments, self._tickets, self.clock)

    def control(self) -> ControlMailings:
        return ControlMailings(self._mailings, self.scheduler, self.order_sweep(), self.clock)

    def manage(self) -> ManageMailings:
        return ManageMailings(
            self._mailings, self.scheduler, self.order_sweep(), self.clock, lambda: ulid(next(self._ids))
        )

    def follow_client(self) -> FollowClient:
        return FollowClient(
            self.lists,
            self._messages,
            self.bundles(),
            self._mailings,
            self.finish(),
            self.clock,
            self.policy,
            QUEUED_GRACE,
        )

    def bundles(self) -> Bundles:
        return Bundles(self._claims, self._messages, self.new_version)

    def new_version(self) -> str:
        return f"lease-{next(self._versions)}"

    def manage_clients(self) -> ManageClients:
        return ManageClients(
            self.clients, self.clients, self.follow_client(), self.clock, lambda: ulid(next(self._ids))
        )

    def suppress(self) -> SuppressPhones:
        return SuppressPhones(self.suppressions, self.follow_client(), self.clock)

    def preview(self, price: Price | None = None) -> PreviewMailing:
        return PreviewMailing(
            CountAudience(self.clients, self.clients, self.clock), self.clock, self.per_second, part_price=price
        )

    def send_test(self) -> SendTest:
        return SendTest(
            self.mailings,
            self.clients,
            self._messages,
            self._tickets,
            self.clock,
            lambda: ulid(next(self._ids)),
            QUEUED_GRACE,
        )

    # What functions do

    def planner(self) -> PlanMailing:
        return PlanMailing(
            self._mailings,
            self._segments,
            self.clients,
            self._tickets,
            self.scheduler,
            self.plan_segment(),
            self.clock,
            plan_segments=self.plan_segments,
            express_max_clients=self.express_max_clients,
        )

    def start(self, mailing_id: str) -> None:
        """Call the planner."""
        self.planner()(mailing_id)

    def plan_segment(self) -> PlanSegment:
        return PlanSegment(
            self._mailings,
            self._segments,
            self.clients,
            self._messages,
            self._tickets,
            self.finish(),
            self.sweep_messages(),
            self.clock,
            self.new_version,
            queued_grace=QUEUED_GRACE,
        )

    def sweep_messages(self) -> SweepMessages:
        return SweepMessages(
            self.clients,
            self.lists,
            self._messages,
            self.bundles(),
            self._tickets,
            self.clock,
            self.policy,
            queued_grace=QUEUED_GRACE,
        )

    def plan_waiting(self) -> None:
        """Call the planner of segments, which is the sweeper as well, with the tickets that wait for it."""
        for ticket in self.tickets.deliver_segments():
            self.plan_segment()(ticket, self.clock() + RUN_TIME)

    def cached(self) -> CachedMailings:
        return CachedMailings(self.mailings, self.clock)

    def finish(self) -> FinishMailing:
        return FinishMailing(self._mailings, self.segments, self.messages, self.clock)

    def deliver(self, cached: CachedMailings | None = None) -> DeliverMessage:
        cached = cached or self.cached()
        return DeliverMessage(
            cached, self.clients, self.provider, self.gate(), self.clock, middle, self.policy, self.tally
        )

    def shared_breaker(self) -> SharedBreaker:
        """Make what one process knows of the breaker: kept, as warm processes keep it."""
        if self._shared_breaker is None:
            self._shared_breaker = SharedBreaker(self.control_items, self.clock, self.breaker_policy)
        return self._shared_breaker

    def gate(self) -> ProviderGate:
        return ProviderGate(
            self.shared_breaker(),
            SlowStart(self.clock, self.breaker_policy.failures),
            self.clock,
            middle,
            lambda: f"run-{next(self._versions)}",
            self.per_second,
            pace=Pace(self.control_items, self.clock, self.sleep, self.per_second) if self.per_second else None,
            in_flight=InFlight(self.control_items, self.clock, self.at_once, 4) if self.at_once else None,
        )

    def sleep(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def sender(
        self, executor: Executor | None = None, threads: int = 4, cached: CachedMailings | None = None
    ) -> SendMessages:
        """Make a sender; `cached` is what its process knows of mailings from before."""
        return SendMessages(
            self.deliver(cached),
            self.clients,
            self._messages,
            self.bundles(),
            self._tickets,
            self.finish(),
            self.clock,
            self.new_version,
            executor or InlineExecutor(),
            threads,
        )

    def send(
        self,
        tickets: Sequence[MessagesTicket],
        executor: Executor | None = None,
        cached: CachedMailings | None = None,
    ) -> set[int]:
        """Call the sender with these tickets; returns the positions of those that failed."""
        return self.sender(executor, cached=cached)(tickets, self.clock() + RUN_TIME)

    def send_waiting(self) -> set[int]:
        """Call the sender with the tickets that wait for it."""
        return self.send(self.tickets.deliver_messages())

    def dispatcher(self) -> DispatchDue:
        return DispatchDue(
            StartDue(self._mailings, self.scheduler, self.clock),
            ResumeImports(self.imports, self._tickets, self.clock),
            self.finish(),
            self._mailings,
            self.cached(),
            self._segments,
            self._messages,
            self._tickets,
            self.shared_breaker(),
            self.clock,
            queued_grace=QUEUED_GRACE,
            due_shards=DUE_SHARDS,
        )

    def dispatch(self) -> None:
        """Let the dispatcher's minute come."""
        self.dispatcher()(self.clock() + RUN_TIME)

    def check_drift(self) -> CheckDrift:
        """Make a recount; its pauses move the clock."""
        return CheckDrift(
            self.mailings,
            self.lists,
            self.messages,
            self._counters,
            self.clock,
            lambda seconds: self.clock.advance(timedelta(seconds=seconds)),
        )

    def check_changed(self) -> CheckChanged:
        return CheckChanged(
            self.mailings,
            self.check_drift(),
            self.clock,
            lambda name, value: self.metrics.append((name, value)),
            self.figures,
        )

    def count_rest(self) -> CountRest:
        return CountRest(self.mailings, self._counters, self.figures, self.clock)

    def read_figures(self, dead_letters: FakeDeadLetters | None = None, **options: float) -> ReadFigures:
        return ReadFigures(
            self.figures,
            self.mailings,
            self._counters,
            self.segments,
            self.control_items,
            self.tickets,
            dead_letters or FakeDeadLetters(self.clock),
            self.tally,
            self.clock,
            **options,
        )

    def repair_counters(self) -> RepairCounters:
        return RepairCounters(self.check_drift(), self._counters)

    # What came of it

    def rows(self, mailing: Mailing) -> list[Message]:
        return sorted(self.messages.of_mailing(mailing.id), key=lambda row: row.client_id)

    def check(self, mailing: Mailing) -> None:
        """Fail unless each client has at most one row, and the counters say what the rows do."""
        rows = self.rows(mailing)
        assert len({row.client_id for row in rows}) == len(rows)
        assert without_errors(self.messages.counts[mailing.id]) == recount(rows)
        for row in rows:
            assert (row.due_at is not None) == (row.lease_until is not None) == (row.status in OPEN)

    # Behind the hook, where one is set

    @property
    def _mailings(self) -> FakeMailingRepository:
        return watched(self.mailings, self.hook, *MAILING_WRITES) if self.hook else self.mailings

    @property
    def _claims(self) -> ClaimRepository:
        return watched(self.claims, self.hook, "claim") if self.hook else self.claims

    @property
    def _messages(self) -> MessageRepository:
        return watched(self.messages, self.hook, *MESSAGE_WRITES) if self.hook else self.messages

    @property
    def _counters(self) -> CounterRepository:
        return watched(self.messages, self.hook, *COUNTER_WRITES) if self.hook else self.messages

    @property
    def _segments(self) -> SegmentRepository:
        return watched(self.segments, self.hook, *SEGMENT_WRITES) if self.hook else self.segments

    @property
    def _tickets(self) -> TicketQueue:
        return watched(self.tickets, self.hook, *QUEUE_WRITES) if self.hook else self.tickets
