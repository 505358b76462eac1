from http import HTTPStatus

from chalice.app import Blueprint, Response

from chalicelib.api.mailing_schemas import (
    ChangeMailingRequest,
    CreateMailingRequest,
    ListMailingsQuery,
    MailingResponse,
    ProcessMailingsResponse,
)
from chalicelib.api.message_schemas import ListMessagesQuery, MessageResponse
from chalicelib.api.parameters import read_body, read_id, read_query
from chalicelib.api.problems import answers_problems
from chalicelib.api.responses import created, deleted, listed, position, shown
from chalicelib.api.schemas import NoQuery
from chalicelib.bootstrap import application
from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import Status

mailings = Blueprint(__name__)


@mailings.route("/mailings", methods=["POST"])
@answers_problems
def create_mailing() -> Response:
    """Create a mailing; it starts at its time, or at once if that has passed; a draft when it is told to."""
    body = read_body(mailings.current_request, CreateMailingRequest)
    mailing = application().manage_mailings.create(body.to_new_mailing())
    return created(MailingResponse.of(mailing), f"mailings/{mailing.id}")


@mailings.route("/mailings", methods=["GET"])
@answers_problems
def list_mailings() -> Response:
    """List mailings, newest first."""
    request = mailings.current_request
    query = read_query(request, ListMailingsQuery)
    status = MailingStatus(query.status) if query.status else None
    page = application().manage_mailings.page(status, position(request, query), query.limit)
    return listed(request, query, page, MailingResponse.of)


@mailings.route("/mailings/process", methods=["POST"])
@answers_problems
def process_mailings() -> Response:
    """Start whatever is due now. A body is not read. Repeating it changes nothing."""
    read_query(mailings.current_request, NoQuery)
    found = application().start_due()
    return shown(ProcessMailingsResponse(mailings=found), HTTPStatus.ACCEPTED)


@mailings.route("/mailings/{mailing_id}", methods=["GET"])
@answers_problems
def get_mailing(mailing_id: str) -> Response:
    """Read a mailing."""
    read_query(mailings.current_request, NoQuery)
    return shown(MailingResponse.of(application().manage_mailings.get(read_id(mailing_id, "mailing"))))


@mailings.route("/mailings/{mailing_id}", methods=["PATCH"])
@answers_problems
def change_mailing(mailing_id: str) -> Response:
    """Change a mailing; 409 where its state does not allow it."""
    id_ = read_id(mailing_id, "mailing")
    body = read_body(mailings.current_request, ChangeMailingRequest)
    return shown(MailingResponse.of(application().manage_mailings.update(id_, body.applied_to)))


@mailings.route("/mailings/{mailing_id}", methods=["DELETE"])
@answers_problems
def delete_mailing(mailing_id: str) -> Response:
    """Delete a mailing."""
    read_query(mailings.current_request, NoQuery)
    application().manage_mailings.delete(read_id(mailing_id, "mailing"))
    return deleted()


@mailings.route("/mailings/{mailing_id}/messages", methods=["GET"])
@answers_problems
def list_mailing_messages(mailing_id: str) -> Response:
    """List the messages of a mailing, of one status if asked for."""
    request = mailings.current_request
    id_ = read_id(mailing_id, "mailing")
    query = read_query(request, ListMessagesQuery)
    status = Status(query.status) if query.status else None
    page = application().read_messages.of_mailing(id_, status, position(request, query), query.limit)
    return listed(request, query, page, MessageResponse.of)
