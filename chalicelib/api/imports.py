from chalice.app import Request

from chalicelib.api.import_schemas import ImportResponse, RefusedRowResponse, UploadResponse
from chalicelib.api.lists import ListResponse, listed, position
from chalicelib.api.resource import Created, Resource
from chalicelib.api.schemas import PageQuery
from chalicelib.api.scopes import Scope
from chalicelib.bootstrap import application
from chalicelib.domain.bulk_import import ImportKind, Tally

imports = Resource(__name__, tag="imports")


@imports.post("/clients/imports", Scope.CLIENTS_WRITE)
def create_client_import() -> Created[ImportResponse]:
    """Begin an import of clients from CSV in UTF-8; it starts by itself when the file was uploaded.

    The header names the columns, between commas or semicolons: `phone` and `timezone`, perhaps `operator_code` and
    `tag`. A client that has the phone is changed; of columns that the file lacks it keeps what it has.
    """
    created, form = application().manage_imports.create(ImportKind.CLIENTS)
    no_rows = ListResponse[RefusedRowResponse](items=[], next=None)
    upload = UploadResponse.of(created, form)
    return Created(ImportResponse.of(created, Tally(), no_rows, upload), f"imports/{created.id}")


@imports.get("/clients/imports/{import_id}", Scope.CLIENTS_READ)
def get_client_import(import_id: str, request: Request, query: PageQuery) -> ImportResponse:
    """Read how an import of clients fares, and a page of the rows that were refused."""
    service = application().manage_imports
    shown, tally = service.get(ImportKind.CLIENTS, import_id)
    refused = service.refusals(import_id, position(request, query), query.limit)
    return ImportResponse.of(shown, tally, listed(request, query, refused, RefusedRowResponse.of))
