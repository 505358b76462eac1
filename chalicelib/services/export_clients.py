"""Write clients as CSV, as an import reads it."""

import json
from collections.abc import Callable
from datetime import timedelta

from chalicelib.domain.client import Client
from chalicelib.domain.csv_export import write_rows
from chalicelib.errors import FieldError, ValidationError
from chalicelib.ports import Clock, Page
from chalicelib.services.audit_trail import did

MAX_CLIENTS = 10_000
MAX_ANSWER = 5_000_000  # bytes as JSON, of the 6 MB that a Lambda function may answer
TIME = timedelta(seconds=20)  # of the 29 s that API Gateway waits
PAGE = 500
COLUMNS = ("phone", "timezone", "operator_code", "tag")


def export_clients(read: Callable[[str | None, int], Page[Client]], clock: Clock) -> str:
    """Write clients as CSV.

    Args:
        read: a page of them, after a position, of so many at most.
        clock: an export that takes longer than 20 s is given up.

    Raises:
        ValidationError: of `filter`: more than 10,000 clients, or more than fits; or too sparse to be found in time.
    """
    stop_at = clock() + TIME
    found: list[Client] = []
    after: str | None = None
    while True:
        page = read(after, PAGE)
        found += page.items
        after = page.next
        if len(found) > MAX_CLIENTS:
            raise ValidationError(FieldError("filter", f"means more than {MAX_CLIENTS:,} clients"))
        if after is None:
            written = _fitting(write_rows(COLUMNS, map(_cells, found)))
            did("clients", exported=len(found))
            return written
        if clock() >= stop_at:
            raise ValidationError(FieldError("filter", f"takes longer than {TIME.seconds} s to look through"))


def _fitting(written: str) -> str:
    if len(json.dumps(written)) > MAX_ANSWER:
        raise ValidationError(FieldError("filter", "means more than fits into one answer"))
    return written


def _cells(client: Client) -> tuple[str, ...]:
    return client.phone, client.timezone, client.operator_code, client.tag or ""
