"""Rows of imports, by the rules that requests have."""

from collections.abc import Mapping

from chalicelib.api.client_schemas import CreateClientRequest
from chalicelib.api.parameters import validated
from chalicelib.api.suppression_schemas import SuppressPhoneRequest
from chalicelib.domain.bulk_import import ImportKind
from chalicelib.domain.csv_export import unguarded
from chalicelib.domain.csv_rows import Columns
from chalicelib.services.import_clients import ClientRow
from chalicelib.services.run_import import RowReader

CLIENT_COLUMNS = Columns(required=("phone", "timezone"), optional=("operator_code", "tag"))
SUPPRESSION_COLUMNS = Columns(required=("phone",))


def read_client_row(cells: Mapping[str, str]) -> ClientRow:
    """Read a client as `POST /clients` would; an empty cell of an optional column gives it its default.

    What an export guarded against spreadsheets is read as it was.

    Raises:
        ValidationError: names each field that is wrong.
    """
    given = {name: unguarded(cell) for name, cell in cells.items() if cell or name in CLIENT_COLUMNS.required}
    return ClientRow(validated(CreateClientRequest, given).to_new_client(), frozenset(cells))


def read_suppression_row(cells: Mapping[str, str]) -> str:
    """Read the phone of who opted out as `POST /suppressions` would.

    Raises:
        ValidationError: it is none.
    """
    return validated(SuppressPhoneRequest, cells).phone


READERS: Mapping[ImportKind, RowReader] = {
    ImportKind.CLIENTS: RowReader(CLIENT_COLUMNS, read_client_row),
    ImportKind.SUPPRESSIONS: RowReader(SUPPRESSION_COLUMNS, read_suppression_row),
}
