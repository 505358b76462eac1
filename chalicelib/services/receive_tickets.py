"""Where tickets come in: read each, set aside what cannot be read, report what must come again."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chalicelib.correlation import CORRELATION_ID, correlated
from chalicelib.domain.tickets import AnyTicket, ImportTicket, MessagesTicket, SegmentTicket, read
from chalicelib.errors import PermanentError, TransientError
from chalicelib.services.plan_mailing import PlanMailing
from chalicelib.services.plan_segment import PlanSegment
from chalicelib.services.run_import import RunImport
from chalicelib.services.send_messages import SendMessages

logger = logging.getLogger(__name__)

Record = Mapping[str, Any]
DeadLetter = Callable[[str, str], None]
Report = dict[str, list[dict[str, str]]]


def receive_messages(
    records: Sequence[Record], send: SendMessages, dead_letter: DeadLetter, stop_at: datetime
) -> Report:
    """Work off a batch of the sender's queues.

    Args:
        records: of an SQS event: `messageId`, `body`, `messageAttributes` with the correlation id, where from and when
            it was sent, if that is told.
        send: does the work.
        dead_letter: takes a body that cannot be read, and the cause.
        stop_at: when everything must be recorded.

    Returns:
        What Lambda's `ReportBatchItemFailures` expects: the ids of records that must be delivered again.
    """
    for record in records:
        if "eventSourceARN" in record:
            send.deliver.tally.received(_queue(record), _sent_at(record))
    tickets, failed = _read(MessagesTicket, records, dead_letter)
    positions = send([ticket for _, ticket in tickets], stop_at)
    return _report([*failed, *(tickets[position][0] for position in sorted(positions))])


def receive_segments(
    records: Sequence[Record], plan: PlanSegment, dead_letter: DeadLetter, stop_at: datetime
) -> Report:
    """Work off a batch of the plan queue; arguments and answer as for `receive_messages`."""
    tickets, failed = _read(SegmentTicket, records, dead_letter)
    for record, ticket in tickets:
        with correlated(ticket.correlation_id, mailing_id=ticket.mailing_id):
            try:
                plan(ticket, stop_at)
            except Exception:
                logger.exception("segment not planned; its ticket comes again", extra={"mailing_id": ticket.mailing_id})
                failed.append(record)
    return _report(failed)


def receive_imports(records: Sequence[Record], run: RunImport, dead_letter: DeadLetter, stop_at: datetime) -> Report:
    """Work off a batch of the import queue; arguments and answer as for `receive_messages`."""
    tickets, failed = _read(ImportTicket, records, dead_letter)
    for record, ticket in tickets:
        with correlated(ticket.correlation_id):
            try:
                for import_id in ticket.import_ids:
                    run(import_id, stop_at)
            except Exception:
                ids = {"import_ids": ticket.import_ids}
                logger.exception("import interrupted; its ticket comes again", extra=ids)
                failed.append(record)
    return _report(failed)


def receive_start(event: Record, plan: PlanMailing) -> None:
    """Start the mailing that a schedule, the API or the dispatcher names: `{"mailing_id": str}`.

    An event of another shape is logged and dropped: nobody could call again with a better one.
    """
    mailing_id = event.get("mailing_id")
    if isinstance(mailing_id, str) and mailing_id:
        plan(mailing_id)
    else:
        logger.error("start dropped: it names no mailing", extra={"fields": sorted(map(str, event))})


def _read(
    shape: type[AnyTicket], records: Sequence[Record], dead_letter: DeadLetter
) -> tuple[list[tuple[Record, AnyTicket]], list[Record]]:
    """Read tickets; returns them with their records, and the records that could not even be set aside."""
    tickets, failed = [], []
    for record in records:
        correlation_id = _correlation_id(record)
        try:
            ticket = read(shape, record["body"])
        except PermanentError as error:
            ids = {"cause": str(error), "sqs_message_id": record["messageId"]}
            with correlated(correlation_id):
                try:
                    dead_letter(record["body"], str(error))
                except TransientError:
                    logger.exception("ticket could not be set aside", extra=ids)
                    failed.append(record)
                else:
                    logger.error("ticket set aside", extra=ids)  # noqa: TRY400 - the cause says it all
        else:
            tickets.append((record, ticket.model_copy(update={CORRELATION_ID: correlation_id})))
    return tickets, failed


def _correlation_id(record: Record) -> str | None:
    attribute = record.get("messageAttributes", {}).get(CORRELATION_ID)
    return str(attribute["stringValue"]) if attribute else None


def _queue(record: Record) -> str:
    """Name a queue as its address does behind the stack's name: `send` of `…:vestnik-send`."""
    arn: str = record["eventSourceARN"]
    return arn.rpartition("-")[2]


def _sent_at(record: Record) -> datetime:
    return datetime.fromtimestamp(int(record["attributes"]["SentTimestamp"]) / 1000, UTC)


def _report(failed: Iterable[Record]) -> Report:
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in failed]}
