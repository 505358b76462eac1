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
    """Begin an import of clients from a CSV file; it starts by itself when the file was uploaded.

    The file is in UTF-8. Its header names the columns, between commas or semicolons: `phone` and `timezone`, perhaps
    `operator_code` and `tag`. A client that has the phone is changed; of columns that the file lacks it keeps what it
    has.
    """
    return _begun(ImportKind.CLIENTS)


@imports.get("/clients/imports/{import_id}", Scope.CLIENTS_READ)
def get_client_import(import_id: str, request: Request, query: PageQuery) -> ImportResponse:
    """Read how an import of clients fares, and a page of the rows that were refused."""
    return _shown(ImportKind.CLIENTS, import_id, request, query)


@imports.post("/suppressions/imports", Scope.CLIENTS_WRITE)
def create_suppression_import() -> Created[ImportResponse]:
    """Begin an import of suppressed phones from a CSV file; it starts by itself when the file was uploaded.

    The file is in UTF-8 and has one column, which its header names: `phone`. A phone that is suppressed already stays
    as it is. Open messages of the clients who have the phones are cancelled.
    """
    return _begun(ImportKind.SUPPRESSIONS)


@imports.get("/suppressions/imports/{import_id}", Scope.CLIENTS_READ)
def get_suppression_import(import_id: str, request: Request, query: PageQuery) -> ImportResponse:
    """Read how an import of suppressed phones fares, and a page of the rows that were refused."""
    return _shown(ImportKind.SUPPRESSIONS, import_id, request, query)


def _begun(kind: ImportKind) -> Created[ImportResponse]:
    created, form = application().manage_imports.create(kind)
    no_rows = ListResponse[RefusedRowResponse](items=[], next=None)
    upload = UploadResponse.of(created, form)
    return Created(ImportResponse.of(created, Tally(), no_rows, upload), f"imports/{created.id}")


def _shown(kind: ImportKind, import_id: str, request: Request, query: PageQuery) -> ImportResponse:
    service = application().manage_imports
    shown, tally = service.get(kind, import_id)
    refused = service.refusals(import_id, position(request, query), query.limit)
    return ImportResponse.of(shown, tally, listed(request, query, refused, RefusedRowResponse.of))
