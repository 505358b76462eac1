from http import HTTPStatus

from chalice.app import Blueprint, Response

from chalicelib.api.dead_letter_schemas import (
    DeadLetterResponse,
    DeadLettersResponse,
    ListDeadLettersQuery,
    RedriveRequest,
    RedriveResponse,
    queues,
)
from chalicelib.api.parameters import read_optional_body, read_query
from chalicelib.api.problems import answers_problems
from chalicelib.api.responses import shown
from chalicelib.bootstrap import application

dead_letters = Blueprint(__name__)


@dead_letters.route("/dead-letters", methods=["GET"])
@answers_problems
def list_dead_letters() -> Response:
    """List tickets that failed, each with its cause and ids."""
    query = read_query(dead_letters.current_request, ListDeadLettersQuery)
    letters = application().list_dead_letters(queues(query.queue), query.limit)
    return shown(DeadLettersResponse(items=[DeadLetterResponse.of(letter) for letter in letters]))


@dead_letters.route("/dead-letters/redrive", methods=["POST"])
@answers_problems
def redrive_dead_letters() -> Response:
    """Put tickets that failed back through all checks. Repeating it is harmless."""
    body = read_optional_body(dead_letters.current_request, RedriveRequest)
    ids = None if body.ids is None else frozenset(body.ids)
    done = application().redrive_dead_letters(queues(body.queue), ids)
    return shown(RedriveResponse.of(done), HTTPStatus.ACCEPTED)
