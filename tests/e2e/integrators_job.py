"""The main job as an integrator would write it, with a client that was generated from /openapi.json.

`python integrators_job.py API_URL TOKEN` writes what came of it, as JSON. The generated client is called
`vestnik_client` and is on the path; the test that runs this has mypy check it against that client first.
"""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from vestnik_client import AuthenticatedClient
from vestnik_client.api.clients import create_client
from vestnik_client.api.mailings import create_mailing, list_mailing_messages
from vestnik_client.api.messages import explain_message
from vestnik_client.api.statistics import read_mailing_stats
from vestnik_client.models import (
    ClientResponse,
    CreateClientRequest,
    CreateMailingRequest,
    ExplanationResponse,
    FilterShape,
    InvalidResponse,
    MailingResponse,
    MailingStatsResponse,
    MailingStatus,
    MessageList,
    MessageStatus,
    ProblemResponse,
    WindowShape,
)

TAG = "integrator"
PHONES = ["79770000001", "79770000002", "79770000003"]
TIMEZONE = "Europe/Moscow"
HOURS = timedelta(hours=6)
PATIENCE_SECONDS = 60


def main(api_url: str, token: str) -> None:
    """Create clients and a mailing, wait until it has finished, ask why one message is where it is."""
    api = AuthenticatedClient(base_url=api_url, token=token, raise_on_unexpected_status=True)
    for phone in PHONES:
        created = create_client.sync(client=api, body=CreateClientRequest(phone=phone, timezone=TIMEZONE, tag=TAG))
        assert isinstance(created, ClientResponse), created
    mailing = new_mailing(api)
    statistics = finished(api, mailing.id)
    page = list_mailing_messages.sync(mailing.id, client=api, status=MessageStatus.SENT, limit=2)
    assert isinstance(page, MessageList), page
    explained = explain_message.sync(page.items[0].id, client=api)
    assert isinstance(explained, ExplanationResponse), explained
    shown = {
        "sent": statistics.messages.sent,
        "total": statistics.messages.total,
        "page": len(page.items),
        "clients": len({message.client_id for message in page.items}),
        "next": explained.next_.value,
        "explanation": explained.explanation,
    }
    sys.stdout.write(json.dumps(shown | refusals(api)))


def new_mailing(api: AuthenticatedClient) -> MailingResponse:
    """Create a mailing that starts at once."""
    now = datetime.now(UTC)
    mailing = create_mailing.sync(
        client=api,
        body=CreateMailingRequest(
            start_at=now,
            end_at=now + timedelta(hours=1),
            text="Hello",
            filter_=FilterShape(tags=[TAG]),
            window=window_around(now),
        ),
    )
    assert isinstance(mailing, MailingResponse), mailing
    return mailing


def window_around(now: datetime) -> WindowShape:
    """Make a window that is open in Moscow for hours before and after."""
    local = now.astimezone(ZoneInfo(TIMEZONE))
    return WindowShape(from_=f"{local - HOURS:%H:%M}", to=f"{local + HOURS:%H:%M}")


def finished(api: AuthenticatedClient, mailing_id: str) -> MailingStatsResponse:
    """Poll the statistics until the mailing has finished."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        statistics = read_mailing_stats.sync(mailing_id, client=api)
        assert isinstance(statistics, MailingStatsResponse), statistics
        if statistics.mailing.status is MailingStatus.FINISHED:
            return statistics
        assert time.monotonic() < deadline, statistics
        time.sleep(0.2)


def refusals(api: AuthenticatedClient) -> dict[str, object]:
    """Tell how a phone that is taken and one that is none are refused."""
    taken = create_client.sync(client=api, body=CreateClientRequest(phone=PHONES[0], timezone="UTC"))
    assert isinstance(taken, ProblemResponse), taken
    wrong = create_client.sync(client=api, body=CreateClientRequest(phone="1", timezone="UTC"))
    assert isinstance(wrong, InvalidResponse), wrong
    return {"taken": taken.status, "wrong": [error.field for error in wrong.errors]}


if __name__ == "__main__":
    main(*sys.argv[1:])
