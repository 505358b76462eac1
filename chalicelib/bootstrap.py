"""The composition root: settings -> adapters -> services, each built once, when it is first asked for."""

import hashlib
import hmac
import random
import time
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from ulid import ULID

from chalicelib import observability
from chalicelib.adapters import tables
from chalicelib.adapters.audit_repository import DynamoAuditTrail
from chalicelib.adapters.claim_repository import DynamoClaimRepository
from chalicelib.adapters.client_repository import DynamoClientRepository
from chalicelib.adapters.control_repository import DynamoControlRepository
from chalicelib.adapters.counter_repository import DynamoCounterRepository
from chalicelib.adapters.dead_letter_queues import SqsDeadLetters
from chalicelib.adapters.dynamodb import DynamoDB
from chalicelib.adapters.figure_repository import DynamoFigureRepository
from chalicelib.adapters.function_logs import CloudWatchFunctionLogs
from chalicelib.adapters.import_repository import DynamoImportRepository
from chalicelib.adapters.mailer import SesMailer
from chalicelib.adapters.mailing_repository import DynamoMailingRepository
from chalicelib.adapters.message_lists import DynamoMessageLists
from chalicelib.adapters.message_repository import DUE_SHARDS, DynamoMessageRepository
from chalicelib.adapters.provider_client import ProviderClient, Subsegment
from chalicelib.adapters.queues import QueueUrls, SqsTicketQueue
from chalicelib.adapters.report_claims import DynamoReportClaims
from chalicelib.adapters.rows_for_clock import RowsForClock
from chalicelib.adapters.scheduler import EventBridgeScheduler, ScheduleTarget
from chalicelib.adapters.secrets import Secrets, Token
from chalicelib.adapters.segment_repository import DynamoSegmentRepository
from chalicelib.adapters.suppression_repository import DynamoSuppressionRepository
from chalicelib.adapters.uploads import S3Uploads
from chalicelib.config import ReportTuning, Settings
from chalicelib.domain.backoff import Backoff
from chalicelib.domain.breaker import BreakerPolicy
from chalicelib.domain.bulk_import import ImportKind
from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.delivery import Policy
from chalicelib.domain.timezone import resolve_timezone
from chalicelib.ports import Clock, Scheduler
from chalicelib.services.audit_trail import Audit
from chalicelib.services.bundles import Bundles
from chalicelib.services.cached_mailings import CachedMailings
from chalicelib.services.check_changed import CheckChanged
from chalicelib.services.check_drift import CheckDrift
from chalicelib.services.control_mailings import ControlMailings
from chalicelib.services.count_audience import CountAudience
from chalicelib.services.count_rest import CountRest
from chalicelib.services.deliver_message import DeliverMessage
from chalicelib.services.dispatch_due import DispatchDue
from chalicelib.services.explain_message import ExplainMessage
from chalicelib.services.find_subject import FindSubject
from chalicelib.services.finish_mailing import FinishMailing
from chalicelib.services.follow_client import FollowClient
from chalicelib.services.gather_report import GatherReport
from chalicelib.services.hold_mailings import HoldMailings
from chalicelib.services.import_clients import ImportClients
from chalicelib.services.import_shares import SHARES
from chalicelib.services.import_suppressions import ImportSuppressions
from chalicelib.services.list_dead_letters import ListDeadLetters
from chalicelib.services.manage_clients import ManageClients
from chalicelib.services.manage_imports import ManageImports
from chalicelib.services.manage_mailings import ManageMailings
from chalicelib.services.order_sweep import OrderSweep
from chalicelib.services.plan_mailing import PlanMailing
from chalicelib.services.plan_segment import PlanSegment
from chalicelib.services.preview_mailing import PreviewMailing, Price
from chalicelib.services.provider_gate import ProviderGate
from chalicelib.services.provider_limits import InFlight, Pace
from chalicelib.services.read_dashboard import ReadDashboard
from chalicelib.services.read_figures import ReadFigures
from chalicelib.services.read_journal import ReadJournal
from chalicelib.services.read_messages import ReadMessages
from chalicelib.services.read_statistics import ReadStatistics
from chalicelib.services.redrive_dead_letters import RedriveDeadLetters
from chalicelib.services.repair_counters import RepairCounters
from chalicelib.services.resume_imports import ResumeImports
from chalicelib.services.run_import import RowReader, RowStore, RunImport
from chalicelib.services.send_messages import SendMessages
from chalicelib.services.send_report import ReportPlan, SendReport
from chalicelib.services.send_test import SendTest
from chalicelib.services.settle_from_log import SettleFromLog
from chalicelib.services.shared_breaker import SharedBreaker
from chalicelib.services.slow_start import SlowStart
from chalicelib.services.start_due import StartDue
from chalicelib.services.suppress_phones import SuppressPhones
from chalicelib.services.sweep_messages import SweepMessages
from chalicelib.services.tally import Tally
from chalicelib.services.tell_figures import TellFigures

if TYPE_CHECKING:
    from chalicelib.adapters.access_tokens import AccessTokens
    from chalicelib.adapters.issuer import Issuer
    from chalicelib.adapters.issuer_keys import IssuerKeys
    from chalicelib.adapters.kept_answers import KeptAnswers
    from chalicelib.adapters.logins import Logins

AWS = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})


def utc_now() -> datetime:
    """Read the clock, to the millisecond: what is finer would not survive being stored."""
    return datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000, UTC)


def derived(signing_key: str, purpose: str) -> bytes:
    """Derive a key of 32 bytes for one purpose from the signing key."""
    return hmac.digest(signing_key.encode(), purpose.encode(), hashlib.sha256)


def new_id() -> str:
    """Make an id that sorts by time: a ULID."""
    return str(ULID())


class Application:
    """Everything that runs, wired. Tests put their own parts in the place of any attribute."""

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.clock = clock
        observability.configure(settings.log_level)
        self.subsegment: Subsegment = nullcontext
        if settings.tracing == "Active":
            from chalicelib.adapters.tracing import Tracing  # noqa: PLC0415 - brings the SDK along, for nobody else

            self.subsegment = Tracing().subsegment
        tables.bind(settings.table_prefix, self.dynamodb.client)

    # Adapters

    @cached_property
    def dynamodb(self) -> DynamoDB:
        """The plain DynamoDB client."""
        return DynamoDB()

    @cached_property
    def secrets(self) -> Secrets:
        """The provider's token, and the key that Vestnik signs with."""
        return Secrets()

    @cached_property
    def access_tokens(self) -> "AccessTokens | None":
        """Tells good access tokens from bad ones; None: there is no issuer that could make good ones."""
        # Here, because the API alone needs them, and they bring cryptography along: 50 ms of each cold start.
        from chalicelib.adapters.access_tokens import AccessTokens  # noqa: PLC0415

        settings = self.settings
        if settings.issuer_url is None or self.issuer_keys is None:
            return None
        return AccessTokens(
            self.issuer_keys, settings.issuer_url, settings.api_audience, settings.token_leeway_seconds, self.clock
        )

    @cached_property
    def issuer(self) -> "Issuer | None":
        """Whom access tokens and logins are of; None: there is no such issuer."""
        from chalicelib.adapters.issuer import Issuer  # noqa: PLC0415 - as above

        settings = self.settings
        return Issuer(settings.issuer_url, settings.plain_http_hosts) if settings.issuer_url else None

    @cached_property
    def issuer_keys(self) -> "IssuerKeys | None":
        """The issuer's keys."""
        from chalicelib.adapters.issuer_keys import IssuerKeys  # noqa: PLC0415 - as above

        return IssuerKeys(self.issuer, time.monotonic) if self.issuer else None

    @cached_property
    def logins(self) -> "Logins | None":
        """Logins of the pages' users; None: there is no issuer at which they could log in."""
        from chalicelib.adapters.id_tokens import IdTokens  # noqa: PLC0415 - as above
        from chalicelib.adapters.logins import Logins  # noqa: PLC0415

        settings = self.settings
        if settings.issuer_url is None or self.issuer is None or self.issuer_keys is None:
            return None
        client_id, secret = settings.pages_client_id, settings.pages_client_secret_name
        return Logins(
            self.issuer,
            IdTokens(self.issuer_keys, settings.issuer_url, client_id, settings.token_leeway_seconds, self.clock),
            client_id,
            None if secret is None else Token(self.secrets, secret),
        )

    def derived_key(self, purpose: str) -> bytes:
        """Derive a key of 32 bytes from the signing key: one purpose's cannot be used for another's.

        Raises:
            TransientError: the signing key cannot be read.
        """
        return derived(self.secrets.get(self.settings.signing_key_secret), purpose)

    @cached_property
    def clients(self) -> DynamoClientRepository:
        """Clients, and who belongs to which part of the audience."""
        return DynamoClientRepository(self.dynamodb)

    @cached_property
    def audience(self) -> DynamoClientRepository:
        """The same repository: clients and memberships change together."""
        return self.clients

    @cached_property
    def suppressions(self) -> DynamoSuppressionRepository:
        """Suppressed phones."""
        return DynamoSuppressionRepository(self.dynamodb, self.clients)

    @cached_property
    def imports(self) -> DynamoImportRepository:
        """Imports."""
        return DynamoImportRepository(self.dynamodb)

    @cached_property
    def uploads(self) -> S3Uploads:
        """Files to import."""
        # By itself boto3 signs forms in the old way, which the newer regions refuse.
        config = AWS.merge(Config(signature_version="s3v4"))
        return S3Uploads(boto3.client("s3", config=config), self.settings.imports_bucket)

    @cached_property
    def mailings(self) -> DynamoMailingRepository:
        """Mailings."""
        return DynamoMailingRepository()

    @cached_property
    def segments(self) -> DynamoSegmentRepository:
        """The segments of mailings."""
        return DynamoSegmentRepository(self.dynamodb)

    @cached_property
    def messages(self) -> DynamoMessageRepository:
        """The rows, and with them the counters."""
        return DynamoMessageRepository(self.dynamodb)

    @cached_property
    def bundles(self) -> Bundles:
        """Whose the rows are that were planned together."""
        return Bundles(DynamoClaimRepository(self.dynamodb), self.messages, new_id)

    @cached_property
    def counters(self) -> DynamoCounterRepository:
        """The counters of mailings."""
        return DynamoCounterRepository(self.dynamodb)

    @cached_property
    def figures(self) -> DynamoFigureRepository:
        """What is kept for those who watch."""
        return DynamoFigureRepository(self.dynamodb)

    @cached_property
    def control(self) -> DynamoControlRepository:
        """What all senders share."""
        return DynamoControlRepository()

    @cached_property
    def kept_answers(self) -> "KeptAnswers":
        """Answers by idempotency key."""
        from chalicelib.adapters.kept_answers import (  # noqa: PLC0415 - a tenth of a second, which only the API needs
            KeptAnswers,
        )

        return KeptAnswers(self.dynamodb, self.clock)

    @cached_property
    def message_lists(self) -> DynamoMessageLists:
        """Which messages a mailing or a client has."""
        return DynamoMessageLists(self.dynamodb)

    @cached_property
    def tickets(self) -> SqsTicketQueue:
        """The queues of tickets."""
        names = self.settings
        urls = QueueUrls(
            plan=names.plan_queue_url,
            plan_dlq=names.plan_dlq_url,
            send=names.send_queue_url,
            send_dlq=names.send_dlq_url,
            express=names.express_queue_url,
            imports=names.import_queue_url,
            imports_dlq=names.import_dlq_url,
        )
        return SqsTicketQueue(boto3.client("sqs", config=AWS), urls)

    @cached_property
    def dead_letters(self) -> SqsDeadLetters:
        """The dead-letter queues."""
        names = self.settings
        urls = {
            DeadQueue.PLAN: names.plan_dlq_url,
            DeadQueue.SEND: names.send_dlq_url,
            DeadQueue.EXPRESS: names.express_dlq_url,
            DeadQueue.SCHEDULE: names.scheduler_dlq_url,
            DeadQueue.IMPORT: names.import_dlq_url,
        }
        sources = {
            DeadQueue.PLAN: names.plan_queue_url,
            DeadQueue.SEND: names.send_queue_url,
            DeadQueue.EXPRESS: names.express_queue_url,
            DeadQueue.IMPORT: names.import_queue_url,
        }
        return SqsDeadLetters(boto3.client("sqs", config=AWS), urls, sources)

    @cached_property
    def function_logs(self) -> CloudWatchFunctionLogs:
        """What the functions logged. Two tries of a call, so that a slow service leaves the API time to say so."""
        config = AWS.merge(Config(retries={"mode": "standard", "total_max_attempts": 2}))
        # The stack's name is what its tables and its functions begin with.
        return CloudWatchFunctionLogs(boto3.client("logs", config=config), self.settings.table_prefix)

    @cached_property
    def scheduler(self) -> Scheduler:
        """What starts mailings."""
        if self.settings.mailings_started_by == "clock":
            return RowsForClock()
        target = ScheduleTarget(
            group=self.settings.schedule_group,
            planner_arn=self.settings.planner_arn,
            role_arn=self.settings.scheduler_role_arn,
            dead_letter_arn=self.settings.scheduler_dlq_arn,
        )
        return EventBridgeScheduler(boto3.client("scheduler", config=AWS), boto3.client("lambda", config=AWS), target)

    @cached_property
    def mailer(self) -> SesMailer:
        """What sends e-mail; one try of a call, since a second could be a second mail."""
        config = AWS.merge(Config(read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1}))
        return SesMailer(boto3.client("ses", config=config))

    @cached_property
    def provider_token(self) -> Token:
        """What Vestnik proves itself with to the provider."""
        return Token(self.secrets, self.settings.provider_token_secret)

    @cached_property
    def scrape_secret(self) -> Token | None:
        """What a scraper of `/metrics` may prove itself with; None: there is no such secret."""
        name = self.settings.scrape_secret_name
        return None if name is None else Token(self.secrets, name)

    @cached_property
    def provider(self) -> ProviderClient:
        """The provider."""
        return ProviderClient(
            self.settings.provider_url,
            self.provider_token,
            connect_timeout_seconds=self.settings.provider_connect_timeout_seconds,
            pool_size=self.settings.sender_threads,
            subsegment=self.subsegment,
        )

    # Services

    @cached_property
    def audit(self) -> Audit:
        """Who changed or sent what."""
        return Audit(DynamoAuditTrail(self.dynamodb), self.clock, new_id)

    @cached_property
    def manage_clients(self) -> ManageClients:
        """Clients as the API knows them."""
        return ManageClients(self.clients, self.audience, self.follow_client, clock=self.clock, new_id=new_id)

    @cached_property
    def manage_imports(self) -> ManageImports:
        """Imports as the API knows them."""
        return ManageImports(self.imports, self.uploads, self.clock, new_id)

    @cached_property
    def import_executor(self) -> Executor:
        """Stores the shares of a batch of an import."""
        return ThreadPoolExecutor(SHARES, thread_name_prefix="import")

    def run_import(self, readers: Mapping[ImportKind, RowReader]) -> RunImport:
        """Work off imports, whose rows are read by the API's rules."""
        stores: Mapping[ImportKind, RowStore] = {
            ImportKind.CLIENTS: ImportClients(self.clients, self.clock, new_id, self.import_executor),
            ImportKind.SUPPRESSIONS: ImportSuppressions(
                self.suppressions, self.follow_client, self.clock, self.import_executor
            ),
        }
        return RunImport(self.imports, self.uploads, self.tickets, self.clock, readers, stores)

    @cached_property
    def resume_imports(self) -> ResumeImports:
        """Brings back imports that nobody is at."""
        return ResumeImports(self.imports, self.tickets, self.clock)

    @cached_property
    def follow_client(self) -> FollowClient:
        """Cancels the open messages of a client that is gone or suppressed."""
        return FollowClient(
            self.message_lists,
            self.messages,
            self.bundles,
            self.mailings,
            self.finish_mailing,
            self.clock,
            self.policy,
            self.queued_grace,
        )

    @cached_property
    def suppress_phones(self) -> SuppressPhones:
        """Who opted out."""
        return SuppressPhones(self.suppressions, self.follow_client, self.clock)

    @cached_property
    def preview_mailing(self) -> PreviewMailing:
        """Says what would become of a mailing."""
        settings = self.settings
        price = settings.sms_part_price
        return PreviewMailing(
            CountAudience(self.audience, self.clients, self.clock),
            self.clock,
            settings.provider_max_per_second,
            None if price is None else Price(price, settings.currency),
        )

    @cached_property
    def send_test(self) -> SendTest:
        """Sends the text of a mailing to one client."""
        return SendTest(self.mailings, self.clients, self.messages, self.tickets, self.clock, new_id, self.queued_grace)

    @cached_property
    def manage_mailings(self) -> ManageMailings:
        """Mailings as the API knows them."""
        return ManageMailings(self.mailings, self.scheduler, self.order_sweep, clock=self.clock, new_id=new_id)

    @cached_property
    def control_mailings(self) -> ControlMailings:
        """Starts, pauses, resumes, cancels and retries mailings."""
        return ControlMailings(self.mailings, self.scheduler, self.order_sweep, self.clock)

    @cached_property
    def order_sweep(self) -> OrderSweep:
        """Has rows follow a change of their mailing."""
        return OrderSweep(self.segments, self.tickets, self.clock)

    @cached_property
    def start_due(self) -> StartDue:
        """Starts what is due."""
        return StartDue(self.mailings, self.scheduler, clock=self.clock)

    @cached_property
    def read_messages(self) -> ReadMessages:
        """Messages as the API knows them."""
        return ReadMessages(self.messages, self.message_lists, self.mailings, self.clients)

    @cached_property
    def explain_message(self) -> ExplainMessage:
        """Says why a message is where it is."""
        return ExplainMessage(
            self.messages, self.bundles, self.mailings, self.clients, self.clock, self.policy, self.breaker
        )

    @cached_property
    def read_journal(self) -> ReadJournal:
        """Says what happened to a mailing, a message or a client."""
        return ReadJournal(self.function_logs, self.clock)

    @cached_property
    def read_dashboard(self) -> ReadDashboard:
        """Says what runs, what waits and what was sent today."""
        return ReadDashboard(self.mailings, self.counters, self.tickets, self.dead_letters, self.clock)

    @cached_property
    def find_subject(self) -> FindSubject:
        """Finds what has an id or a phone."""
        return FindSubject(self.mailings, self.clients, self.messages, self.imports)

    @cached_property
    def read_statistics(self) -> ReadStatistics:
        """How mailings fare."""
        return ReadStatistics(self.mailings, self.counters, self.segments)

    @cached_property
    def list_dead_letters(self) -> ListDeadLetters:
        """Says what lies in the dead-letter queues."""
        return ListDeadLetters(self.dead_letters, self.clock)

    @cached_property
    def redrive_dead_letters(self) -> RedriveDeadLetters:
        """Puts dead letters back."""
        return RedriveDeadLetters(self.dead_letters, self.cached_mailings, self.tickets, self.scheduler, self.clock)

    @cached_property
    def cached_mailings(self) -> CachedMailings:
        """Mailings, at most two seconds old."""
        return CachedMailings(self.mailings, self.clock)

    @cached_property
    def finish_mailing(self) -> FinishMailing:
        """Finds out that a mailing is planned, or finished."""
        return FinishMailing(self.mailings, self.segments, self.counters, self.clock)

    @cached_property
    def plan_mailing(self) -> PlanMailing:
        """Starts a mailing."""
        return PlanMailing(
            self.mailings,
            self.segments,
            self.audience,
            self.tickets,
            self.scheduler,
            self.plan_segment,
            self.clock,
            plan_segments=self.settings.plan_segments,
            express_max_clients=self.settings.express_max_clients,
        )

    @cached_property
    def plan_segment(self) -> PlanSegment:
        """Plans a segment of a mailing."""
        return PlanSegment(
            self.mailings,
            self.segments,
            self.audience,
            self.messages,
            self.tickets,
            self.finish_mailing,
            self.sweep_messages,
            self.clock,
            new_id,
            queued_grace=self.queued_grace,
        )

    @cached_property
    def sweep_messages(self) -> SweepMessages:
        """Has a page of rows follow a change of their mailing."""
        return SweepMessages(
            self.clients,
            self.message_lists,
            self.messages,
            self.bundles,
            self.tickets,
            self.clock,
            self.policy,
            queued_grace=self.queued_grace,
        )

    @cached_property
    def queued_grace(self) -> timedelta:
        """After which a queued row is looked at again."""
        return timedelta(seconds=self.settings.queued_grace_seconds)

    @cached_property
    def policy(self) -> Policy:
        """What operators tuned about delivery."""
        return Policy(
            Backoff(self.settings.backoff_base_seconds, self.settings.backoff_cap_seconds),
            max_attempts=self.settings.max_attempts,
            request_timeout=timedelta(seconds=self.settings.provider_timeout_seconds),
        )

    @cached_property
    def breaker(self) -> SharedBreaker:
        """Knows whether the provider is down."""
        settings = self.settings
        policy = BreakerPolicy(
            settings.breaker_failures,
            first_probe=timedelta(seconds=settings.breaker_probe_seconds),
            probe_cap=timedelta(seconds=settings.breaker_probe_cap_seconds),
            request_timeout=self.policy.request_timeout,
        )
        return SharedBreaker(self.control, self.clock, policy)

    @cached_property
    def provider_gate(self) -> ProviderGate:
        """Lets requests through to the provider."""
        per_second, at_once = self.settings.provider_max_per_second, self.settings.provider_max_in_flight
        return ProviderGate(
            self.breaker,
            SlowStart(self.clock, self.settings.breaker_failures),
            self.clock,
            random.uniform,
            new_id,
            per_second,
            pace=Pace(self.control, self.clock, time.sleep, per_second) if per_second else None,
            in_flight=InFlight(self.control, self.clock, at_once, self.settings.sender_threads) if at_once else None,
        )

    @cached_property
    def send_messages(self) -> SendMessages:
        """Sends the messages of tickets."""
        threads = self.settings.sender_threads
        deliver = DeliverMessage(
            self.cached_mailings,
            self.clients,
            self.provider,
            self.provider_gate,
            self.clock,
            random.uniform,
            self.policy,
            self.tally,
        )
        return SendMessages(
            deliver,
            self.clients,
            self.messages,
            self.bundles,
            self.tickets,
            self.finish_mailing,
            self.clock,
            new_id,
            ThreadPoolExecutor(threads, thread_name_prefix="deliver"),
            threads,
        )

    @cached_property
    def dispatch_due(self) -> DispatchDue:
        """Brings back what was lost."""
        return DispatchDue(
            self.start_due,
            self.resume_imports,
            self.finish_mailing,
            self.mailings,
            self.cached_mailings,
            self.segments,
            self.messages,
            self.tickets,
            self.breaker,
            self.clock,
            queued_grace=self.queued_grace,
            due_shards=DUE_SHARDS,
        )

    @cached_property
    def gather_report(self) -> GatherReport:
        """Says what a day brought."""
        return GatherReport(self.mailings, self.counters, self.dead_letters, self.function_logs, self.clock)

    @cached_property
    def send_report(self) -> SendReport:
        """Sends the daily report.

        Raises:
            ConfigurationError: names every setting of it that does not parse.
        """
        from chalicelib.report.writing import ReportWriter  # noqa: PLC0415 - a tenth of a second, which only this needs

        settings = ReportTuning.from_env()
        plan = None
        if settings.report_sender and settings.report_recipients:
            zone = resolve_timezone(settings.report_zone)
            plan = ReportPlan(settings.report_sender, settings.report_recipients, zone, settings.report_hour)
        # The stack's name is what its tables begin with.
        write = ReportWriter(settings.report_language, settings.report_zone, self.settings.table_prefix)
        return SendReport(plan, self.gather_report, write, self.mailer, DynamoReportClaims(), self.clock, new_id)

    @cached_property
    def check_drift(self) -> CheckDrift:
        """Recounts a mailing."""
        return CheckDrift(self.mailings, self.message_lists, self.messages, self.counters, self.clock, time.sleep)

    @cached_property
    def check_changed(self) -> CheckChanged:
        """Recounts what has changed of late."""
        return CheckChanged(self.mailings, self.check_drift, self.clock, observability.count, self.figures)

    @cached_property
    def count_rest(self) -> CountRest:
        """Counts the messages of mailings that ended long ago."""
        return CountRest(self.mailings, self.counters, self.figures, self.clock)

    @cached_property
    def tally(self) -> Tally:
        """Counts what this process does."""
        return Tally(self.figures, self.provider_token.expires_at)

    @cached_property
    def read_figures(self) -> ReadFigures:
        """Reads the figures of the moment."""
        return ReadFigures(
            self.figures,
            self.mailings,
            self.counters,
            self.segments,
            self.control,
            self.tickets,
            self.dead_letters,
            self.tally,
            self.clock,
        )

    @cached_property
    def tell_figures(self) -> TellFigures:
        """Tells the figures as metrics."""
        return TellFigures(self.read_figures, self.figures, observability.measure)

    @cached_property
    def repair_counters(self) -> RepairCounters:
        """Sets the counters of a mailing right."""
        return RepairCounters(self.check_drift, self.counters)

    @cached_property
    def hold_mailings(self) -> HoldMailings:
        """Holds all mailings back after a restore."""
        return HoldMailings(self.mailings, self.control_mailings)

    @cached_property
    def settle_from_log(self) -> SettleFromLog:
        """Settles what was sent after the moment to which tables were restored."""
        return SettleFromLog(
            self.function_logs, self.mailings, self.messages, self.finish_mailing, self.clock, new_id, self.queued_grace
        )


@cache
def application() -> Application:
    """Build the application of this process from its environment.

    Raises:
        ConfigurationError: names every setting that is missing or does not parse.
    """
    return Application(Settings.from_env())
