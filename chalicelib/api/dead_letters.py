from chalicelib.api.dead_letter_schemas import (
    DeadLetterResponse,
    DeadLettersResponse,
    ListDeadLettersQuery,
    RedriveRequest,
    RedriveResponse,
    queues,
)
from chalicelib.api.resource import Accepted, Resource
from chalicelib.api.scopes import Scope
from chalicelib.bootstrap import application

dead_letters = Resource(__name__, tag="dead letters")


@dead_letters.get("/dead-letters", Scope.ADMIN)
def list_dead_letters(query: ListDeadLettersQuery) -> DeadLettersResponse:
    """List tickets that failed, each with its cause and ids."""
    letters = application().list_dead_letters(queues(query.queue), query.limit)
    return DeadLettersResponse(items=[DeadLetterResponse.of(letter) for letter in letters], next=None)


@dead_letters.post("/dead-letters/redrive", Scope.ADMIN)
def redrive_dead_letters(body: RedriveRequest) -> Accepted[RedriveResponse]:
    """Put tickets that failed back through all checks. Repeating it is harmless."""
    ids = None if body.ids is None else frozenset(body.ids)
    return Accepted(RedriveResponse.of(application().redrive_dead_letters(queues(body.queue), ids)))
