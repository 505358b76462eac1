from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

from chalice.app import Response
from pydantic import Field

from chalicelib.admin.client_forms import Fields, faults_of, fields_of, given, shown_phone, typed_fields
from chalicelib.admin.pages import Form, Page, Pages, Redirect, Visit
from chalicelib.admin.roles import Role
from chalicelib.api.client_schemas import ChangeClientRequest, CreateClientRequest, ListClientsQuery
from chalicelib.api.lists import next_cursor, position
from chalicelib.api.parameters import validated
from chalicelib.api.schemas import PageQuery
from chalicelib.bootstrap import application
from chalicelib.domain.client import Client
from chalicelib.domain.phone import typed_phone
from chalicelib.errors import ConflictError, ValidationError
from chalicelib.ports import Page as ListPage
from chalicelib.services.export_clients import MAX_CLIENTS, export_clients

clients = Pages(__name__)

Typed = Annotated[str, Field(max_length=200)]


class FindClientsQuery(PageQuery):
    """What is typed to find clients; empty is not asked for."""

    operator_code: Typed = ""
    tag: Typed = ""
    phone: Typed = ""

    @property
    def fields(self) -> dict[str, str]:
        """What is asked for, by the API's names."""
        typed = {"operator_code": self.operator_code, "tag": self.tag, "phone": typed_phone(self.phone)}
        return {name: text.strip() for name, text in typed.items() if text.strip()}


@clients.page("/clients", Role.VIEWER)
def list_clients(query: FindClientsQuery, visit: Visit) -> Page:
    """List clients, or find them by phone, operator code and tag."""
    try:
        meant = validated(ListClientsQuery, query.fields)
    except ValidationError as error:
        return _list(visit, query, faults=faults_of(error))
    found = _found(meant, position(visit.request, query), query.limit)
    return _list(visit, query, found)


@clients.page("/clients/export", Role.EDITOR)
def export_found_clients(query: FindClientsQuery, visit: Visit) -> Page | Response:
    """Hand out the clients of a list as a CSV file, which can be imported again."""
    try:
        meant = validated(ListClientsQuery, query.fields)
        written = export_clients(lambda after, limit: _found(meant, after, limit), application().clock)
    except ValidationError as error:
        return _list(visit, query, faults=faults_of(error))
    headers: dict[str, str | list[str]] = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": 'attachment; filename="clients.csv"',
    }
    return Response(written, headers)


@clients.page("/clients/new", Role.EDITOR)
def ask_for_client() -> Page:
    """Ask for the facts of a new client."""
    return _form({"phone": "", "timezone": "", "operator_code": "", "tag": ""})


@clients.action("/clients/new", Role.EDITOR)
def create_client(form: Form) -> Page | Redirect:
    """Create a client, or say beside each field what is wrong."""
    fields = typed_fields(form)
    try:
        client = application().manage_clients.create(validated(CreateClientRequest, given(fields)).to_new_client())
    except (ValidationError, ConflictError) as error:
        return _form(fields, error=error)
    return Redirect(f"clients/{client.id}", "saved")


@clients.page("/clients/{client_id}", Role.VIEWER)
def show_client(client_id: str, query: PageQuery, visit: Visit) -> Page:
    """Show a client: who it is, whether it may get messages, and which it got."""
    built = application()
    client = built.manage_clients.get(client_id)
    messages = built.read_messages.of_client(client_id, position(visit.request, query), query.limit)
    return Page(
        "client.html",
        {
            "section": "clients",
            "client": client,
            "phone": shown_phone(visit, client.phone),
            "suppression": built.suppressions.get(client.phone) if client.suppressed else None,
            "messages": messages.items,
            "first": query.cursor is None,
            "next": next_cursor(visit.request, query, messages),
        },
    )


@clients.page("/clients/{client_id}/edit", Role.EDITOR)
def show_client_to_edit(client_id: str) -> Page:
    """Show the facts of a client to change them."""
    client = application().manage_clients.get(client_id)
    return _form(fields_of(client), client_id=client_id, version=str(client.version))


@clients.action("/clients/{client_id}/edit", Role.EDITOR)
def change_client(client_id: str, form: Form) -> Page | Redirect:
    """Change a client as it was shown; if somebody else did meanwhile, nothing is changed."""
    fields, version = typed_fields(form), form.text("version")

    def change(client: Client) -> Client:
        if str(client.version) != version:
            raise ConflictError("somebody else has changed this client since you opened this page; open it anew")
        before = fields_of(client)
        changes = {
            name: text or None if name == "tag" else text for name, text in fields.items() if text != before[name]
        }
        return validated(ChangeClientRequest, changes).applied_to(client)

    try:
        application().manage_clients.update(client_id, change)
    except (ValidationError, ConflictError) as error:
        return _form(fields, client_id=client_id, version=version, error=error)
    return Redirect(f"clients/{client_id}", "saved")


@clients.page("/clients/{client_id}/delete", Role.EDITOR)
def ask_to_delete_client(client_id: str) -> Page:
    """Say what deleting a client does, before it is done."""
    return _confirmation("client_delete.html", client_id)


@clients.action("/clients/{client_id}/delete", Role.EDITOR)
def delete_client(client_id: str) -> Redirect:
    """Delete a client, and its phone everywhere."""
    application().manage_clients.delete(client_id)
    return Redirect("clients", "deleted")


@clients.page("/clients/{client_id}/opt-out", Role.EDITOR)
def ask_to_opt_out(client_id: str) -> Page:
    """Say what it does to suppress the phone of a client, before it is done."""
    return _confirmation("client_opt_out.html", client_id)


@clients.action("/clients/{client_id}/opt-out", Role.EDITOR)
def opt_out(client_id: str) -> Redirect:
    """Suppress the phone of a client."""
    built = application()
    built.suppress_phones.one(built.manage_clients.get(client_id).phone)
    return Redirect(f"clients/{client_id}", "saved")


def _found(meant: ListClientsQuery, after: str | None, limit: int) -> ListPage[Client]:
    service = application().manage_clients
    if meant.phone is not None:
        return service.with_phone(meant.phone, meant.filter)
    return service.page(meant.filter, after, limit)


def _list(
    visit: Visit, query: FindClientsQuery, found: ListPage[Client] | None = None, faults: Fields | None = None
) -> Page:
    found = found or ListPage([])
    cursor = next_cursor(visit.request, query, found)
    return Page(
        "clients.html",
        {
            "section": "clients",
            "query": query,
            "faults": faults or {},
            "found": [(client, shown_phone(visit, client.phone)) for client in found.items],
            "filters": urlencode(query.fields),
            "next": urlencode({**query.model_dump(exclude_defaults=True), "cursor": cursor}) if cursor else None,
            "export_limit": MAX_CLIENTS,
        },
        HTTPStatus.UNPROCESSABLE_ENTITY if faults else HTTPStatus.OK,
    )


def _form(
    fields: Fields,
    *,
    client_id: str | None = None,
    version: str = "",
    error: ValidationError | ConflictError | None = None,
) -> Page:
    conflict = str(error) if isinstance(error, ConflictError) else None
    values = {
        "section": "clients",
        "fields": fields,
        "faults": faults_of(error) if isinstance(error, ValidationError) else {},
        "conflict": conflict,
        "client_id": client_id,
        "version": version,
    }
    failed = HTTPStatus.CONFLICT if conflict else HTTPStatus.UNPROCESSABLE_ENTITY
    return Page("client_form.html", values, failed if error else HTTPStatus.OK)


def _confirmation(template: str, client_id: str) -> Page:
    built = application()
    client = built.manage_clients.get(client_id)
    counted = built.read_messages.open_of_client(client_id)
    return Page(template, {"section": "clients", "client": client, "open": counted})
