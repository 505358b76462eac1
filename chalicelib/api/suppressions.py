from http import HTTPStatus

from chalice.app import Request

from chalicelib.api.lists import ListResponse, listed, position
from chalicelib.api.resource import Created, Resource
from chalicelib.api.schemas import PageQuery
from chalicelib.api.scopes import Scope
from chalicelib.api.suppression_schemas import SuppressionResponse, SuppressPhoneRequest
from chalicelib.bootstrap import application

suppressions = Resource(__name__, tag="suppressions")


@suppressions.post("/suppressions", Scope.CLIENTS_WRITE, HTTPStatus.CONFLICT)
def suppress_phone(body: SuppressPhoneRequest) -> Created[SuppressionResponse]:
    """Suppress a phone: nothing is sent to it any more, whoever has it, and its open messages are cancelled.

    A phone that is suppressed already stays as it is, and is answered in the same way. 409 if the client who has the
    phone kept changing meanwhile.
    """
    suppression = application().suppress_phones.one(body.phone)
    return Created(SuppressionResponse.of(suppression), f"suppressions/{suppression.phone}")


@suppressions.get("/suppressions", Scope.CLIENTS_READ)
def list_suppressions(request: Request, query: PageQuery) -> ListResponse[SuppressionResponse]:
    """List suppressed phones."""
    page = application().suppress_phones.page(position(request, query), query.limit)
    return listed(request, query, page, SuppressionResponse.of)


@suppressions.get("/suppressions/{phone}", Scope.CLIENTS_READ)
def get_suppression(phone: str) -> SuppressionResponse:
    """Read since when a phone is suppressed; 404 if it is not."""
    return SuppressionResponse.of(application().suppress_phones.get(phone))


@suppressions.delete("/suppressions/{phone}", Scope.CLIENTS_WRITE, HTTPStatus.CONFLICT)
def lift_suppression(phone: str) -> None:
    """Have a phone get messages again: those of mailings planned from then on. 404 if it is not suppressed.

    What was cancelled is not brought back. 409 if the client who has the phone kept changing meanwhile.
    """
    application().suppress_phones.lift(phone)
