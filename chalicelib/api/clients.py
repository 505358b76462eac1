from chalice.app import Blueprint, Response

from chalicelib.api.client_schemas import ChangeClientRequest, ClientResponse, CreateClientRequest, ListClientsQuery
from chalicelib.api.message_schemas import MessageResponse
from chalicelib.api.parameters import read_body, read_id, read_query
from chalicelib.api.problems import answers_problems
from chalicelib.api.responses import created, deleted, listed, position, shown
from chalicelib.api.schemas import NoQuery, PageQuery
from chalicelib.bootstrap import application

clients = Blueprint(__name__)


@clients.route("/clients", methods=["POST"])
@answers_problems
def create_client() -> Response:
    """Create a client; 409 if another has its phone."""
    body = read_body(clients.current_request, CreateClientRequest)
    client = application().manage_clients.create(body.to_new_client())
    return created(ClientResponse.of(client), f"clients/{client.id}")


@clients.route("/clients", methods=["GET"])
@answers_problems
def list_clients() -> Response:
    """List clients, by operator code, tag and phone."""
    request = clients.current_request
    query = read_query(request, ListClientsQuery)
    after = position(request, query)
    service = application().manage_clients
    if query.phone is not None:
        page = service.with_phone(query.phone, query.filter)
    else:
        page = service.page(query.filter, after, query.limit)
    return listed(request, query, page, ClientResponse.of)


@clients.route("/clients/{client_id}", methods=["GET"])
@answers_problems
def get_client(client_id: str) -> Response:
    """Read a client."""
    read_query(clients.current_request, NoQuery)
    return shown(ClientResponse.of(application().manage_clients.get(read_id(client_id, "client"))))


@clients.route("/clients/{client_id}", methods=["PATCH"])
@answers_problems
def change_client(client_id: str) -> Response:
    """Change a client; 409 if another has the phone."""
    id_ = read_id(client_id, "client")
    body = read_body(clients.current_request, ChangeClientRequest)
    return shown(ClientResponse.of(application().manage_clients.update(id_, body.applied_to)))


@clients.route("/clients/{client_id}", methods=["DELETE"])
@answers_problems
def delete_client(client_id: str) -> Response:
    """Delete a client, and its phone everywhere."""
    read_query(clients.current_request, NoQuery)
    application().manage_clients.delete(read_id(client_id, "client"))
    return deleted()


@clients.route("/clients/{client_id}/messages", methods=["GET"])
@answers_problems
def list_client_messages(client_id: str) -> Response:
    """List the messages of a client."""
    request = clients.current_request
    id_ = read_id(client_id, "client")
    query = read_query(request, PageQuery)
    page = application().read_messages.of_client(id_, position(request, query), query.limit)
    return listed(request, query, page, MessageResponse.of)
