from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chalicelib.api.schemas import write_moment
from chalicelib.bootstrap import Application, utc_now
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import UNLEASED, Message, Outcome, Reason, Status, ended, put_off
from tests.builders import client, mailing, message, ulid
from tests.gateway import Answer, Gateway

HOUR = timedelta(hours=1)
CLIENT = client(timezone="+05:00")


@pytest.fixture
def running(built: Application) -> Mailing:
    now = utc_now()
    made = mailing(status=MailingStatus.RUNNING, start_at=now - HOUR, end_at=now + 48 * HOUR, message_shards=4)
    built.mailings.create(made)
    return made


@pytest.fixture
def row(built: Application, running: Mailing) -> Message:
    return planned(built, running, UNLEASED)


def planned(built: Application, mailing: Mailing, lease_until: datetime, leases: int = 0) -> Message:
    built.clients.create(CLIENT)
    row = message(mailing_shard=f"{mailing.id}#00", lease_until=lease_until, leases=leases, due_at=utc_now() + HOUR)
    (stored,) = built.messages.plan(mailing, [row])
    return stored


def explained(api: Gateway, row: Message) -> Answer:
    answer = api("GET", f"/messages/{row.id}/explain")
    assert answer.status == 200, answer.text
    return answer


def test_a_queued_message_waits_for_a_sender(api: Gateway, running: Mailing, row: Message) -> None:
    answer = explained(api, row)
    assert answer.json == {
        "message": api("GET", f"/messages/{row.id}").json,
        "explanation": "Nothing stands against it: it waits for a sender.",
        "next": "send",
        "next_at": None,
        "facts": {
            "mailing_status": "running",
            "end_at": write_moment(running.end_at),
            "window": None,
            "timezone": "+05:00",
            "local_time": answer.json["facts"]["local_time"],
            "opens_at": None,
            "attempts": 0,
            "attempts_left": 20,
            "uncertain": 0,
            "crashes": 0,
            "not_before": None,
            "leased_until": None,
            "looked_at_by": answer.json["message"]["due_at"],
            "provider_down_since": None,
        },
    }
    assert CLIENT.phone[:7] not in answer.text
    assert running.text not in answer.text


def test_a_message_waits_for_the_window_of_its_client(
    api: Gateway, built: Application, running: Mailing, row: Message
) -> None:
    local = utc_now() + 5 * HOUR
    opens, closes = f"{local + 2 * HOUR:%H:00}", f"{local + 3 * HOUR:%H:00}"
    windowed = replace(running, window=LocalWindow.parse(opens, closes), version=2)
    built.mailings.replace(running, windowed)
    shown = explained(api, row).json
    opens_at = (local + 2 * HOUR).replace(minute=0, second=0, microsecond=0) - 5 * HOUR
    assert (shown["next"], shown["next_at"]) == ("wait", write_moment(opens_at))
    assert shown["explanation"].startswith(f"Waits for {opens} in +05:00 (")
    facts = shown["facts"]
    assert (facts["window"], facts["opens_at"]) == ({"from": opens, "to": closes}, write_moment(opens_at))
    assert len(facts["local_time"]) == len("09:00")


def test_a_retry_says_what_went_wrong_and_when_it_goes_on(api: Gateway, built: Application, row: Message) -> None:
    now = utc_now()
    later = put_off(row, now + HOUR, Reason.RETRY, now=now)
    later = replace(later, attempts=3, uncertain=1, last_error="timeout")
    built.messages.record(row.mailing_id, [Outcome(row, later, "timeout")])
    shown = explained(api, row).json
    assert (shown["next"], shown["next_at"]) == ("wait", write_moment(now + HOUR))
    assert shown["explanation"].startswith("Request 3 failed (timeout): tried again at ")
    assert (shown["facts"]["attempts_left"], shown["facts"]["uncertain"]) == (17, 1)


def test_a_message_that_was_sent_has_nothing_before_it(api: Gateway, built: Application, row: Message) -> None:
    sent = replace(ended(row, Status.SENT, expires_at=None), sent_at=utc_now(), attempts=1)
    built.messages.record(row.mailing_id, [Outcome(row, sent)])
    shown = explained(api, row).json
    assert (shown["next"], shown["next_at"]) == ("none", None)
    assert shown["explanation"].startswith("The provider accepted it at ")
    assert (shown["facts"]["attempts"], shown["facts"]["attempts_left"]) == (1, None)


def test_a_message_is_explained_after_its_client_is_gone(api: Gateway, row: Message) -> None:
    assert api("DELETE", f"/clients/{row.client_id}").status == 204
    shown = explained(api, row).json
    assert shown["message"]["status"] == "cancelled"
    assert shown["explanation"].startswith("Its client was deleted before the provider had accepted it.")


def test_a_message_in_a_senders_hands_is_explained_after_its_mailing_and_client_are_gone(
    api: Gateway, built: Application, running: Mailing
) -> None:
    row = planned(built, running, utc_now() + HOUR, leases=1)
    assert api("DELETE", f"/clients/{row.client_id}").status == 204
    assert "Its client was deleted: it is cancelled" in explained(api, row).json["explanation"]
    assert api("DELETE", f"/mailings/{row.mailing_id}").status == 204
    shown = explained(api, row).json
    assert "Its mailing was deleted: it is cancelled" in shown["explanation"]
    assert shown["next"] == "cancel"
    facts = ("mailing_status", "end_at", "window", "timezone", "local_time")
    assert [shown["facts"][name] for name in facts] == [None] * 5


def test_the_words_follow_the_controls(api: Gateway, row: Message) -> None:
    assert api("POST", f"/mailings/{row.mailing_id}/pause").status == 200
    paused = explained(api, row).json
    assert (paused["next"], paused["next_at"]) == ("wait", None)
    assert paused["facts"]["mailing_status"] == "paused"
    assert "paused" in paused["explanation"]
    assert api("POST", f"/mailings/{row.mailing_id}/cancel").status == 200
    assert explained(api, row).json["next"] == "cancel"


@pytest.mark.parametrize("id_", ["0", "x", "9007199254740992", "1", ulid(1)])
def test_an_id_of_no_message_is_not_found(api: Gateway, id_: str) -> None:
    assert api("GET", f"/messages/{id_}/explain").status == 404


def test_a_parameter_is_refused(api: Gateway, row: Message) -> None:
    refused = api("GET", f"/messages/{row.id}/explain?verbose=1")
    assert (refused.status, refused.fields) == (422, ["verbose"])
