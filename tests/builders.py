"""Things with all their facts filled in; a test names only those that it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.bulk_import import Import, ImportKind, ImportStatus
from chalicelib.domain.client import Client
from chalicelib.domain.mailing import Mailing, MailingStatus, OnUncertain
from chalicelib.domain.message import UNLEASED, Message, Status, message_id

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def ulid(number: int) -> str:
    """Make the id of this number: ids of higher numbers are later."""
    return f"01K{number:023d}"


def client(**changes: Any) -> Client:  # noqa: ANN401 - facts by name
    return replace(
        Client(
            id=ulid(1),
            phone="79161234567",
            operator_code="916",
            tag=None,
            timezone="Europe/Moscow",
            created_at=NOW,
            updated_at=NOW,
        ),
        **changes,
    )


def mailing(**changes: Any) -> Mailing:  # noqa: ANN401 - facts by name
    return replace(
        Mailing(
            id=ulid(100),
            start_at=NOW,
            end_at=NOW + timedelta(days=1),
            text="Your order has arrived.",
            filter=AudienceFilter(),
            window=None,
            on_uncertain=OnUncertain.RETRY,
            status=MailingStatus.SCHEDULED,
            created_at=NOW,
            updated_at=NOW,
        ),
        **changes,
    )


def bulk_import(**changes: Any) -> Import:  # noqa: ANN401 - facts by name
    return replace(
        Import(
            id=ulid(200),
            kind=ImportKind.CLIENTS,
            status=ImportStatus.WAITING,
            created_at=NOW,
            expires_at=NOW + timedelta(days=30),
            due_at=NOW + timedelta(minutes=7),
        ),
        **changes,
    )


def message(**changes: Any) -> Message:  # noqa: ANN401 - facts by name
    mailing_id, client_id = changes.get("mailing_id", ulid(100)), changes.get("client_id", ulid(1))
    return replace(
        Message(
            id=message_id(mailing_id, client_id),
            mailing_id=mailing_id,
            client_id=client_id,
            mailing_shard=f"{mailing_id}#00",
            status=Status.QUEUED,
            created_at=NOW,
            version="v1",
            due_at=NOW + timedelta(minutes=15),
            lease_until=UNLEASED,
        ),
        **changes,
    )
