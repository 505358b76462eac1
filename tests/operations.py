"""What the API declares, with an address for each operation at which there is nothing."""

from chalicelib.api import OPERATIONS
from chalicelib.api.resource import Operation
from tests.builders import ulid

GUARDED = [operation for operation in OPERATIONS if operation.scope]
_IDS = {
    "client_id": ulid(1),
    "mailing_id": ulid(2),
    "import_id": ulid(3),
    "message_id": "7",
    "phone": "79161234567",
}


def address_of(operation: Operation) -> str:
    """Fill in the path of an operation."""
    return operation.path.format_map(_IDS)
