"""E-mail over SES as moto plays it: what arrives, and what is refused."""

from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, message_from_string, policy
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from chalicelib.adapters.mailer import SesMailer, as_message
from chalicelib.errors import RefusedMailError, TransientError
from chalicelib.ports import Mail

MAIL = Mail(
    "reports@vestnik.example",
    ("a@one.example", "b.c+d@two.example"),
    "Vestnik, 22 ноября 2026: отправлено 184 312",
    "Отправлено 184\xa0312\n.\nEnd\n",
    "<!DOCTYPE html><p>Отправлено 184\xa0312</p>\n",
    "ru",
)


@pytest.fixture
def ses() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("ses", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
        client.verify_email_identity(EmailAddress=MAIL.sender)
        yield client


class FailingClient:
    """A client of SES that raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def send_raw_email(self, **_: object) -> None:
        raise self._error


def failed(error: Exception) -> SesMailer:
    return SesMailer(cast("Any", FailingClient(error)))


def refused(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "its word"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "SendRawEmail")


def test_mail_arrives_with_both_bodies(ses: Any) -> None:  # noqa: ANN401 - boto3's clients are made at run time
    SesMailer(ses).send(MAIL)
    (sent,) = ses_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].sent_messages
    assert (sent.source, set(sent.destinations)) == (MAIL.sender, set(MAIL.recipients))
    arrived = message_from_string(sent.raw_data, policy=policy.default)
    assert arrived.get_content_type() == "multipart/alternative"
    text, html = arrived.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert (lines(text), lines(html)) == (MAIL.text, MAIL.html)
    assert arrived["Subject"] == MAIL.subject
    assert arrived["From"] == "Vestnik <reports@vestnik.example>"
    assert [str(each) for each in arrived["To"].addresses] == list(MAIL.recipients)
    assert (arrived["Content-Language"], arrived["Auto-Submitted"]) == ("ru", "auto-generated")


def lines(part: Any) -> str:  # noqa: ANN401 - a part of a message
    return str(part.get_content()).replace("\r\n", "\n")


def test_no_line_is_longer_than_mail_allows() -> None:
    raw = as_message(replace(MAIL, html=f"<p>{'word ' * 5000}</p>")).as_bytes()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.isascii()


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_subject_adds_no_header(end: str) -> None:
    raw = as_message(replace(MAIL, subject=f"Report{end}Bcc: x@y.example{end}{end}<p>")).as_bytes()
    arrived = message_from_bytes(raw, policy=policy.default)
    assert arrived["Subject"] == "Report Bcc: x@y.example <p>"
    assert arrived["Bcc"] is None


def test_unverified_sender_is_refused_in_the_words_of_ses(ses: Any) -> None:  # noqa: ANN401 - as above
    with pytest.raises(RefusedMailError, match=r"MessageRejected.*nobody@elsewhere.example"):
        SesMailer(ses).send(replace(MAIL, sender="nobody@elsewhere.example"))


@pytest.mark.parametrize(("code", "status"), [("MessageRejected", 400), ("Throttling", 400), ("AccessDenied", 403)])
def test_mail_that_ses_does_not_take_is_refused(code: str, status: int) -> None:
    with pytest.raises(RefusedMailError, match="its word"):
        failed(refused(code, status)).send(MAIL)


@pytest.mark.parametrize(
    "error",
    [
        refused("InternalFailure", 500),
        refused("ServiceUnavailable", 503),
        ReadTimeoutError(endpoint_url="https://ses"),
        ConnectTimeoutError(endpoint_url="https://ses"),
    ],
)
def test_mail_of_which_nobody_knows_whether_it_went_is_told_apart(error: Exception) -> None:
    with pytest.raises(TransientError):
        failed(error).send(MAIL)
