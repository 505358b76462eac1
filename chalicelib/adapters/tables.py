"""The tables, as PynamoDB models: the one place that says which attribute is stored how.

Keys and their heat at 10 million clients, 5,000 messages a second (DynamoDB allows a partition 1,000 writes
and 3,000 reads a second):

- clients `id`: random; heat as written.
- suppressions `part`: 32 partitions; the transactions of a file of opt-outs, and a check for each new client.
- audience `part`: 32 partitions a value; 5,000 new clients a second, two units each: 313 writes a partition.
- mailings `id`: read by each sender every 2 s; index `by_id` has one partition, for some writes a mailing.
- segments `mailing_id`: one write per page of a segment, 10 a second.
- messages `id`: a hash, spread evenly. `by_mailing`: 64 partitions a large mailing, 78 writes each.
  `by_client`: as many partitions as clients. `by_due`: 32 shards a status, 157 inserts and removals each.
- control `name`: each sender reads `breaker` once a second; `pace`, with a limit, is written four times a second
  or once for 50 requests, whichever is more. Idempotency keys are random, two writes each. Reports: two a day.
- stats `mailing_id`: 64 counters and as many minute counters a mailing; 52 transactions a second over them. One more
  counter for repairs. `service`: a write a run of a sender, 25 a second, all on the item `traffic`.
- imports `id`: a write a batch and one a transaction of clients, the latter over 8 counters.
- audit `month`: two writes for each change by the API, whose default throttle is 500 requests a second.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pynamodb.attributes import (
    Attribute,
    BooleanAttribute,
    JSONAttribute,
    ListAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.constants import NUMBER
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, IncludeProjection, KeysOnlyProjection
from pynamodb.models import Model

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)


class TimestampAttribute(Attribute[datetime]):
    """A moment as milliseconds since 1970 (UTC): sorts as it should, and compares as a number."""

    attr_type = NUMBER

    def serialize(self, value: datetime) -> str:
        """Write an aware moment; what is finer than a millisecond is cut off."""
        return str((value - _EPOCH) // _MILLISECOND)

    def deserialize(self, value: str) -> datetime:
        """Read a moment back, in UTC."""
        return _EPOCH + int(value) * _MILLISECOND


class ExpiryAttribute(Attribute[datetime]):
    """A moment as whole seconds since 1970: what DynamoDB's TTL reads."""

    attr_type = NUMBER

    def serialize(self, value: datetime) -> str:
        """Write an aware moment, in whole seconds."""
        return str((value - _EPOCH) // _SECOND)

    def deserialize(self, value: str) -> datetime:
        """Read a moment back, in UTC."""
        return _EPOCH + int(value) * _SECOND


class ClientItem(Model):
    """A client, or (id `phone#…`) the lock that keeps its phone unique, which knows `client_id`."""

    class Meta:
        table_name = "clients"

    id = UnicodeAttribute(hash_key=True)
    client_id = UnicodeAttribute(null=True)
    phone = UnicodeAttribute(null=True)
    operator_code = UnicodeAttribute(null=True)
    tag = UnicodeAttribute(null=True)
    timezone = UnicodeAttribute(null=True)
    created_at = TimestampAttribute(null=True)
    updated_at = TimestampAttribute(null=True)
    version = NumberAttribute(null=True)
    suppressed = BooleanAttribute(null=True)


class SuppressionItem(Model):
    """A phone to which nothing is sent; the client who has it, if there is one, knows so too."""

    class Meta:
        table_name = "suppressions"

    part = UnicodeAttribute(hash_key=True)
    phone = UnicodeAttribute(range_key=True)
    created_at = TimestampAttribute()


class AudienceItem(Model):
    """The membership of a client in one part of the audience; written in the client's own transaction."""

    class Meta:
        table_name = "audience"

    part = UnicodeAttribute(hash_key=True)
    client_id = UnicodeAttribute(range_key=True)
    operator_code = UnicodeAttribute()
    tag = UnicodeAttribute(null=True)
    suppressed = BooleanAttribute(null=True)
    timezone = UnicodeAttribute(null=True)


class MailingsById(GlobalSecondaryIndex["MailingItem"]):
    """All mailings that are not deleted, in order of their making."""

    class Meta:
        index_name = "by_id"
        projection = AllProjection()

    kind = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)


class MailingsByStatus(GlobalSecondaryIndex["MailingItem"]):
    """Mailings by status and start: which are due, which run."""

    class Meta:
        index_name = "by_status"
        projection = AllProjection()

    status = UnicodeAttribute(hash_key=True)
    start_at = TimestampAttribute(range_key=True)


class MailingItem(Model):
    """A mailing. `kind` is there unless it was deleted or is a test: it puts the mailing into `by_id`."""

    class Meta:
        table_name = "mailings"

    KIND: ClassVar[str] = "mailing"

    id = UnicodeAttribute(hash_key=True)
    kind = UnicodeAttribute(null=True)
    start_at = TimestampAttribute()
    end_at = TimestampAttribute()
    text = UnicodeAttribute()
    operator_codes: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute)
    tags: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute)
    window_from = UnicodeAttribute(null=True)
    window_to = UnicodeAttribute(null=True)
    on_uncertain = UnicodeAttribute()
    status = UnicodeAttribute()
    created_at = TimestampAttribute()
    updated_at = TimestampAttribute()
    started_at = TimestampAttribute(null=True)
    planned_at = TimestampAttribute(null=True)
    finished_at = TimestampAttribute(null=True)
    segments = NumberAttribute()
    message_shards = NumberAttribute()
    express = BooleanAttribute()
    sweep = NumberAttribute(default=0)
    version = NumberAttribute()
    test_of = UnicodeAttribute(null=True)
    correlation_id = UnicodeAttribute(null=True)

    by_id = MailingsById()
    by_status = MailingsByStatus()


class SegmentsByDue(GlobalSecondaryIndex["SegmentItem"]):
    """Segments that are not done, by the moment after which somebody must look again."""

    class Meta:
        index_name = "by_due"
        projection = KeysOnlyProjection()

    due_shard = UnicodeAttribute(hash_key=True)
    due_at = TimestampAttribute(range_key=True)


class SegmentItem(Model):
    """A segment of a mailing: a share of its audience to plan, or of its messages to sweep."""

    class Meta:
        table_name = "segments"

    mailing_id = UnicodeAttribute(hash_key=True)
    segment = UnicodeAttribute(range_key=True)
    parts: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute)
    cursor_part = NumberAttribute(null=True)
    cursor_after = UnicodeAttribute(null=True)
    sweep = NumberAttribute(null=True)
    due_shard = UnicodeAttribute(null=True)
    due_at = TimestampAttribute(null=True)
    expires_at = ExpiryAttribute(null=True)

    by_due = SegmentsByDue()


class MessagesByMailing(GlobalSecondaryIndex["MessageItem"]):
    """The messages of a mailing, over as many shards as the mailing says."""

    class Meta:
        index_name = "by_mailing"
        projection = KeysOnlyProjection()

    mailing_shard = UnicodeAttribute(hash_key=True)
    id = NumberAttribute(range_key=True)


class MessagesByClient(GlobalSecondaryIndex["MessageItem"]):
    """The messages of a client."""

    class Meta:
        index_name = "by_client"
        projection = KeysOnlyProjection()

    client_id = UnicodeAttribute(hash_key=True)
    id = NumberAttribute(range_key=True)


class MessagesByDue(GlobalSecondaryIndex["MessageItem"]):
    """Open messages by the moment after which somebody must look again; `due_shard` is `queued#07` or alike."""

    class Meta:
        index_name = "by_due"
        projection = IncludeProjection(["mailing_id"])

    due_shard = UnicodeAttribute(hash_key=True)
    due_at = TimestampAttribute(range_key=True)


class MessageItem(Model):
    """A message: no phone, zone or text; the sender reads those when it sends."""

    class Meta:
        table_name = "messages"

    id = NumberAttribute(hash_key=True)
    mailing_id = UnicodeAttribute()
    client_id = UnicodeAttribute()
    mailing_shard = UnicodeAttribute()
    status = UnicodeAttribute()
    reason = UnicodeAttribute(null=True)
    created_at = TimestampAttribute()
    due_shard = UnicodeAttribute(null=True)
    due_at = TimestampAttribute(null=True)
    not_before = TimestampAttribute(null=True)
    lease_until = TimestampAttribute(null=True)
    leases = NumberAttribute(null=True)
    attempts = NumberAttribute(null=True)
    attempts_before = NumberAttribute(null=True)
    uncertain = NumberAttribute(null=True)
    sent_at = TimestampAttribute(null=True)
    last_error = UnicodeAttribute(null=True)
    version = UnicodeAttribute()
    expires_at = ExpiryAttribute(null=True)

    by_mailing = MessagesByMailing()
    by_client = MessagesByClient()
    by_due = MessagesByDue()


class CounterItem(Model):
    """A shard of a mailing's counters (`total#07`) or of one minute's (`minute#202611230601#07`).

    What repairs add is a shard of its own (`total#repair`), which knows how many there were. Under `service` in place
    of a mailing lies what is kept for those who watch the whole: `traffic`, `watch`, `drift` and `rest`.

    The counters are attributes named after what they count, added to as they come; a model of them would only
    repeat `domain.message.counter_changes`.
    """

    class Meta:
        table_name = "stats"

    mailing_id = UnicodeAttribute(hash_key=True)
    counter = UnicodeAttribute(range_key=True)
    first_sent_at = TimestampAttribute(null=True)
    last_sent_at = TimestampAttribute(null=True)
    repairs = NumberAttribute(null=True)
    expires_at = ExpiryAttribute(null=True)

    # Of `service`: when the provider's token ends; what the dispatcher saw, what the nightly check found, what ended
    # long ago, in the shapes of `figure_repository`.
    token_expires_at = TimestampAttribute(null=True)
    kept: JSONAttribute = JSONAttribute(null=True)


class ControlItem(Model):
    """What all senders share, a named item each: `breaker`, `pace` and `in_flight`; and a `report#2026-11-23` a day.

    Beside them lie the answers by idempotency key, `idempotency#…`, in a shape of Powertools' own, and the ids of what
    such requests create (`kept_answers`).
    """

    class Meta:
        table_name = "control"

    BREAKER: ClassVar[str] = "breaker"
    PACE: ClassVar[str] = "pace"
    IN_FLIGHT: ClassVar[str] = "in_flight"

    name = UnicodeAttribute(hash_key=True)
    version = NumberAttribute(null=True)

    # Of the breaker.
    state = UnicodeAttribute(null=True)
    cause = UnicodeAttribute(null=True)
    since = TimestampAttribute(null=True)
    changed_at = TimestampAttribute(null=True)
    probe_at = TimestampAttribute(null=True)
    probes = NumberAttribute(null=True)
    slowed_until = TimestampAttribute(null=True)

    # Of the pace: the first moment that nobody has reserved, in microseconds since 1970.
    next_slot = NumberAttribute(null=True)

    # Of what is in flight: by sender the requests that it may make, and until when in milliseconds since 1970.
    taken: JSONAttribute = JSONAttribute(null=True)

    # Of the report of a day.
    owner = UnicodeAttribute(null=True)
    claimed_until = TimestampAttribute(null=True)
    sent_at = TimestampAttribute(null=True)

    # Of what a request with an idempotency key creates.
    created_id = UnicodeAttribute(null=True)
    expires_at = ExpiryAttribute(null=True)


class ImportsByDue(GlobalSecondaryIndex["ImportItem"]):
    """Imports that have not ended, by the moment after which somebody must look again."""

    class Meta:
        index_name = "by_due"
        projection = KeysOnlyProjection()

    due_shard = UnicodeAttribute(hash_key=True)
    due_at = TimestampAttribute(range_key=True)


class ImportItem(Model):
    """An import (`import`), a share of its counters (`counts#3`), or refused rows up to a line (`refused#0000000512`).

    `refusals` is JSON: `[[line, field, reason], …]`.
    """

    class Meta:
        table_name = "imports"

    id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    kind = UnicodeAttribute(null=True)
    status = UnicodeAttribute(null=True)
    created_at = TimestampAttribute(null=True)
    started_at = TimestampAttribute(null=True)
    finished_at = TimestampAttribute(null=True)
    etag = UnicodeAttribute(null=True)
    size_bytes = NumberAttribute(null=True)
    offset = NumberAttribute(null=True)
    line = NumberAttribute(null=True)
    delimiter = UnicodeAttribute(null=True)
    columns: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, null=True)
    rows = NumberAttribute(null=True)
    refused = NumberAttribute(null=True)
    listed = NumberAttribute(null=True)
    tries = NumberAttribute(null=True)
    failure = UnicodeAttribute(null=True)
    due_shard = UnicodeAttribute(null=True)
    due_at = TimestampAttribute(null=True)
    version = NumberAttribute(null=True)
    created = NumberAttribute(null=True)
    changed = NumberAttribute(null=True)
    refusals = UnicodeAttribute(null=True)
    expires_at = ExpiryAttribute(null=True)

    by_due = ImportsByDue()


class AuditItem(Model):
    """An entry of the audit trail. `entry` is JSON: `[at, via, outcome, {field: [before, after]}]`."""

    class Meta:
        table_name = "audit"

    month = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    subject = UnicodeAttribute()
    action = UnicodeAttribute()
    target = UnicodeAttribute(null=True)
    entry = UnicodeAttribute()
    expires_at = ExpiryAttribute()


TABLES: tuple[type[Model], ...] = (
    ClientItem,
    SuppressionItem,
    AudienceItem,
    MailingItem,
    SegmentItem,
    MessageItem,
    CounterItem,
    ControlItem,
    ImportItem,
    AuditItem,
)


def bind(prefix: str, client: "DynamoDBClient | None" = None) -> None:
    """Point the models at the tables of one stack, `<prefix>-clients` and so on.

    Args:
        prefix: the stack's name.
        client: what all of them speak through. By itself PynamoDB makes each model a client of its own: a twentieth
            of a second of cold start for every table that a function uses.
    """
    for model in TABLES:
        base = model.Meta.table_name.rpartition("-")[2]
        model.Meta.table_name = f"{prefix}-{base}"
        model.Meta.connect_timeout_seconds = 2
        model.Meta.read_timeout_seconds = 5
        model._connection = None  # noqa: SLF001 - PynamoDB keeps the table's name in it and has no other reset
        if client is not None:
            model._get_connection().connection._client = client  # type: ignore[assignment]  # noqa: SLF001 - no other way in
