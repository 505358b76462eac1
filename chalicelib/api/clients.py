from http import HTTPStatus

from chalice.app import Request

from chalicelib.api.client_schemas import ChangeClientRequest, ClientResponse, CreateClientRequest, ListClientsQuery
from chalicelib.api.lists import ListResponse, listed, position
from chalicelib.api.message_schemas import MessageResponse
from chalicelib.api.preconditions import IfMatch
from chalicelib.api.resource import Created, Resource
from chalicelib.api.schemas import PageQuery
from chalicelib.api.scopes import Scope
from chalicelib.bootstrap import application
from chalicelib.domain.client import Client
from chalicelib.ports import NewId

clients = Resource(__name__, tag="clients")


@clients.post("/clients", Scope.CLIENTS_WRITE, HTTPStatus.CONFLICT)
def create_client(body: CreateClientRequest, new_id: NewId) -> Created[ClientResponse]:
    """Create a client; 409 if another has its phone."""
    client = application().manage_clients.create(body.to_new_client(), new_id())
    return Created(ClientResponse.of(client), f"clients/{client.id}")


@clients.get("/clients", Scope.CLIENTS_READ)
def list_clients(request: Request, query: ListClientsQuery) -> ListResponse[ClientResponse]:
    """List clients, by operator code, tag and phone."""
    after = position(request, query)
    service = application().manage_clients
    if query.phone is not None:
        page = service.with_phone(query.phone, query.filter)
    else:
        page = service.page(query.filter, after, query.limit)
    return listed(request, query, page, ClientResponse.of)


@clients.get("/clients/{client_id}", Scope.CLIENTS_READ)
def get_client(client_id: str) -> ClientResponse:
    """Read a client."""
    return ClientResponse.of(application().manage_clients.get(client_id))


@clients.patch("/clients/{client_id}", Scope.CLIENTS_WRITE, HTTPStatus.CONFLICT)
def change_client(client_id: str, body: ChangeClientRequest, if_match: IfMatch) -> ClientResponse:
    """Change a client; 409 if another has the phone."""

    def change(client: Client) -> Client:
        if_match.check(ClientResponse.of(client))
        return body.applied_to(client)

    return ClientResponse.of(application().manage_clients.update(client_id, change))


@clients.delete("/clients/{client_id}", Scope.CLIENTS_WRITE, HTTPStatus.CONFLICT)
def delete_client(client_id: str, if_match: IfMatch) -> None:
    """Delete a client, and its phone everywhere."""
    application().manage_clients.delete(client_id, lambda client: if_match.check(ClientResponse.of(client)))


@clients.get("/clients/{client_id}/messages", Scope.CLIENTS_READ)
def list_client_messages(client_id: str, request: Request, query: PageQuery) -> ListResponse[MessageResponse]:
    """List the messages of a client."""
    page = application().read_messages.of_client(client_id, position(request, query), query.limit)
    return listed(request, query, page, MessageResponse.of)
