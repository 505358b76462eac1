from http import HTTPStatus

from chalicelib.api.mailing_schemas import MailingResponse
from chalicelib.api.message_schemas import MessageResponse
from chalicelib.api.resource import Accepted, Resource
from chalicelib.api.schemas import ClientId, WireModel
from chalicelib.api.scopes import Scope
from chalicelib.bootstrap import application
from chalicelib.ports import NewId

controls = Resource(__name__, tag="mailings")


class SendTestRequest(WireModel):
    """Whom to send a test to."""

    client_id: ClientId


@controls.post("/mailings/{mailing_id}/start", Scope.MAILINGS_SEND, HTTPStatus.CONFLICT)
def start_mailing(mailing_id: str) -> MailingResponse:
    """Take a mailing out of draft: it starts at its time, or at once if that has passed; 409 if it is no draft."""
    return MailingResponse.of(application().control_mailings.start(mailing_id))


@controls.post("/mailings/{mailing_id}/pause", Scope.MAILINGS_WRITE, HTTPStatus.CONFLICT)
def pause_mailing(mailing_id: str) -> MailingResponse:
    """Begin no request any more until the mailing is resumed; 409 if it is not running."""
    return MailingResponse.of(application().control_mailings.pause(mailing_id))


@controls.post("/mailings/{mailing_id}/resume", Scope.MAILINGS_SEND, HTTPStatus.CONFLICT)
def resume_mailing(mailing_id: str) -> MailingResponse:
    """Go on after a pause; what was sent is not sent again. 409 if the mailing is not paused, or has ended."""
    return MailingResponse.of(application().control_mailings.resume(mailing_id))


@controls.post("/mailings/{mailing_id}/cancel", Scope.MAILINGS_WRITE, HTTPStatus.CONFLICT)
def cancel_mailing(mailing_id: str) -> MailingResponse:
    """Never begin a request again, and cancel the open messages; 409 if the mailing is over."""
    return MailingResponse.of(application().control_mailings.cancel(mailing_id))


@controls.post("/mailings/{mailing_id}/retry", Scope.MAILINGS_SEND, HTTPStatus.CONFLICT)
def retry_mailing(mailing_id: str) -> MailingResponse:
    """Queue the failed messages again, and only those; 409 unless the mailing is running or finished before its end."""
    return MailingResponse.of(application().control_mailings.retry(mailing_id))


@controls.post("/mailings/{mailing_id}/test", Scope.MAILINGS_SEND, HTTPStatus.CONFLICT)
def send_test(mailing_id: str, body: SendTestRequest, new_id: NewId) -> Accepted[MessageResponse]:
    """Send the text of a mailing to one client now, whatever the mailing's state or window; 409 if it is suppressed.

    The answer is the message, of a mailing of its own that is in no list and no total: its id tells what becomes of it.
    """
    return Accepted(MessageResponse.of(application().send_test(mailing_id, body.client_id, new_id())))
