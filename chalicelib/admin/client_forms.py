"""What is typed about clients on the pages, read into the API's own shapes."""

from collections.abc import Mapping

from chalicelib.admin.pages import Form, Visit
from chalicelib.admin.roles import Role
from chalicelib.domain.client import Client
from chalicelib.domain.phone import mask, typed_phone
from chalicelib.errors import ValidationError

Fields = Mapping[str, str]


def typed_fields(form: Form) -> dict[str, str]:
    """Read the fields of a client as they were typed, the phone without what people put between digits."""
    fields = {name: form.text(name) for name in ("phone", "timezone", "operator_code", "tag")}
    return fields | {"phone": typed_phone(fields["phone"])}


def fields_of(client: Client) -> dict[str, str]:
    """Show a client as fields to change."""
    return {
        "phone": client.phone,
        "timezone": client.timezone,
        "operator_code": client.operator_code,
        "tag": client.tag or "",
    }


def given(fields: Fields) -> dict[str, str]:
    """Pick the fields that are not empty."""
    return {name: text for name, text in fields.items() if text}


def faults_of(error: ValidationError) -> dict[str, str]:
    """Say by field what is wrong."""
    return {fault.field: fault.message for fault in error.errors}


def shown_phone(visit: Visit, phone: str) -> str:
    """Show a phone whole to those who may change it, masked to all others."""
    return phone if visit.may(Role.EDITOR) else mask(phone)
