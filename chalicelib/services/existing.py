from chalicelib.domain.client import Client
from chalicelib.domain.mailing import Mailing, MailingStatus
from chalicelib.domain.message import Message
from chalicelib.errors import NotFoundError
from chalicelib.ports import ClientRepository, MailingRepository, MessageRepository


def existing_client(clients: ClientRepository, client_id: str) -> Client:
    """Read a client.

    Raises:
        NotFoundError: there is none.
    """
    client = clients.get(client_id)
    if client is None:
        raise NotFoundError("there is no such client")
    return client


def existing_mailing(mailings: MailingRepository, mailing_id: str) -> Mailing:
    """Read a mailing.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    mailing = mailings.get(mailing_id)
    if mailing is None or mailing.status is MailingStatus.DELETED:
        raise NotFoundError("there is no such mailing")
    return mailing


def existing_message(messages: MessageRepository, message_id: int) -> Message:
    """Read a message.

    Raises:
        NotFoundError: there is none, or it has aged out.
    """
    message = messages.get_many([message_id]).get(message_id)
    if message is None:
        raise NotFoundError("there is no such message")
    return message
