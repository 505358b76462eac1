from collections.abc import Callable

from chalice.app import Blueprint, Response

from chalicelib.api.mailing_schemas import MailingResponse
from chalicelib.api.parameters import read_id, read_nothing
from chalicelib.api.problems import answers_problems
from chalicelib.api.responses import shown
from chalicelib.bootstrap import application
from chalicelib.domain.mailing import Mailing

controls = Blueprint(__name__)


@controls.route("/mailings/{mailing_id}/start", methods=["POST"])
@answers_problems
def start_mailing(mailing_id: str) -> Response:
    """Take a mailing out of draft: it starts at its time, or at once if that has passed; 409 if it is no draft."""
    return _controlled(mailing_id, application().control_mailings.start)


@controls.route("/mailings/{mailing_id}/pause", methods=["POST"])
@answers_problems
def pause_mailing(mailing_id: str) -> Response:
    """Begin no request any more until the mailing is resumed; 409 if it is not running."""
    return _controlled(mailing_id, application().control_mailings.pause)


@controls.route("/mailings/{mailing_id}/resume", methods=["POST"])
@answers_problems
def resume_mailing(mailing_id: str) -> Response:
    """Go on after a pause; what was sent is not sent again. 409 if the mailing is not paused, or has ended."""
    return _controlled(mailing_id, application().control_mailings.resume)


@controls.route("/mailings/{mailing_id}/cancel", methods=["POST"])
@answers_problems
def cancel_mailing(mailing_id: str) -> Response:
    """Never begin a request again, and cancel the open messages; 409 if the mailing is over."""
    return _controlled(mailing_id, application().control_mailings.cancel)


@controls.route("/mailings/{mailing_id}/retry", methods=["POST"])
@answers_problems
def retry_mailing(mailing_id: str) -> Response:
    """Queue the failed messages again, and only those; 409 unless the mailing is running or finished before its end."""
    return _controlled(mailing_id, application().control_mailings.retry)


def _controlled(mailing_id: str, control: Callable[[str], Mailing]) -> Response:
    id_ = read_id(mailing_id, "mailing")
    read_nothing(controls.current_request)
    return shown(MailingResponse.of(control(id_)))
