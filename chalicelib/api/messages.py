from chalice.app import Blueprint, Response

from chalicelib.api.explanation_schemas import ExplanationResponse
from chalicelib.api.message_schemas import MessageResponse
from chalicelib.api.parameters import read_message_id, read_query
from chalicelib.api.problems import answers_problems
from chalicelib.api.responses import shown
from chalicelib.api.schemas import NoQuery
from chalicelib.bootstrap import application

messages = Blueprint(__name__)


@messages.route("/messages/{message_id}", methods=["GET"])
@answers_problems
def get_message(message_id: str) -> Response:
    """Read a message."""
    read_query(messages.current_request, NoQuery)
    return shown(MessageResponse.of(application().read_messages.get(read_message_id(message_id))))


@messages.route("/messages/{message_id}/explain", methods=["GET"])
@answers_problems
def explain_message(message_id: str) -> Response:
    """Say why a message is where it is, what happens next and when."""
    read_query(messages.current_request, NoQuery)
    return shown(ExplanationResponse.of(*application().explain_message(read_message_id(message_id))))
