from chalicelib.api.explanation_schemas import ExplanationResponse
from chalicelib.api.message_schemas import MessageResponse
from chalicelib.api.resource import Resource
from chalicelib.api.scopes import Scope
from chalicelib.bootstrap import application

messages = Resource(__name__, tag="messages")


@messages.get("/messages/{message_id}", Scope.MAILINGS_READ)
def get_message(message_id: int) -> MessageResponse:
    """Read a message."""
    return MessageResponse.of(application().read_messages.get(message_id))


@messages.get("/messages/{message_id}/explain", Scope.MAILINGS_READ)
def explain_message(message_id: int) -> ExplanationResponse:
    """Say why a message is where it is, what happens next and when."""
    return ExplanationResponse.of(*application().explain_message(message_id))
