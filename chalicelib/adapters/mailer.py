"""E-mail over Amazon SES (port: `Mailer`): its first API, which every emulator has."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from http import HTTPStatus
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import RefusedMailError, TransientError
from chalicelib.ports import Mail

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient

DISPLAY_NAME = "Vestnik"
_SEVEN_BIT = SMTP.clone(cte_type="7bit")  # what each mail server on the way takes


class SesMailer:
    """Sends mails, each once: the client that it is given must not try again by itself."""

    def __init__(self, client: "SESClient") -> None:
        self._client = client

    def send(self, mail: Mail) -> None:
        """Send a mail in one call; what SES answers with an error of its own leaves open whether it went."""
        try:
            self._client.send_raw_email(
                Source=mail.sender,
                Destinations=list(mail.recipients),
                RawMessage={"Data": as_message(mail).as_bytes()},
            )
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise RefusedMailError(str(error)) from error
            raise TransientError(str(error)) from error
        except BotoCoreError as error:
            raise TransientError(str(error)) from error


def as_message(mail: Mail) -> EmailMessage:
    """Write a mail as multipart/alternative; line ends in its subject become spaces, so that they add no header."""
    message = EmailMessage(policy=_SEVEN_BIT)
    message["From"] = Address(DISPLAY_NAME, addr_spec=mail.sender)
    message["To"] = [Address(addr_spec=recipient) for recipient in mail.recipients]
    message["Subject"] = " ".join(mail.subject.split())
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nothing answers it by itself
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    message["Content-Language"] = mail.language  # last, because a new body takes such headers away
    return message
