from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field

from chalicelib.admin.client_forms import Fields, faults_of, shown_phone
from chalicelib.admin.pages import Form, Page, Pages, Redirect, Visit
from chalicelib.admin.roles import Role
from chalicelib.admin.session import seal, unseal
from chalicelib.api.parameters import validated
from chalicelib.api.schemas import PageQuery
from chalicelib.api.suppression_schemas import SuppressPhoneRequest
from chalicelib.bootstrap import application
from chalicelib.domain.phone import is_phone, typed_phone
from chalicelib.domain.suppression import Suppression
from chalicelib.errors import FieldError, ValidationError
from chalicelib.ports import Page as ListPage

suppressions = Pages(__name__)

CURSORS = "cursors of suppressions"  # what their key is derived for


class FindSuppressionsQuery(PageQuery):
    """What is typed to find a suppressed phone; empty: all."""

    phone: Annotated[str, Field(max_length=200)] = ""


@suppressions.page("/suppressions", Role.VIEWER)
def list_suppressions(query: FindSuppressionsQuery, visit: Visit) -> Page:
    """List the phones to which nothing is sent, or find one."""
    return _list(visit, query)


@suppressions.action("/suppressions", Role.EDITOR)
def suppress_phone(form: Form, visit: Visit) -> Page | Redirect:
    """Suppress a phone, or say beside the field what is wrong."""
    typed = form.text("phone")
    try:
        application().suppress_phones.one(validated(SuppressPhoneRequest, {"phone": typed_phone(typed)}).phone)
    except ValidationError as error:
        return _list(visit, FindSuppressionsQuery(), typed, faults_of(error))
    return Redirect("suppressions", "saved")


@suppressions.page("/suppressions/{phone}/lift", Role.EDITOR)
def ask_to_lift_suppression(phone: str) -> Page:
    """Say what lifting a suppression does, before it is done."""
    found = application().suppress_phones.get(phone)
    return Page("suppression_lift.html", {"section": "suppressions", "suppression": found})


@suppressions.action("/suppressions/{phone}/lift", Role.EDITOR)
def lift_suppression(phone: str) -> Redirect:
    """Have a phone get messages again."""
    application().suppress_phones.lift(phone)
    return Redirect("suppressions", "saved")


def _list(visit: Visit, query: FindSuppressionsQuery, typed: str = "", faults: Fields | None = None) -> Page:
    found = _found(query)
    cursor = _sealed(found.next) if found.next else None
    return Page(
        "suppressions.html",
        {
            "section": "suppressions",
            "query": query,
            "typed": typed,
            "faults": faults or {},
            "found": [(one, shown_phone(visit, one.phone)) for one in found.items],
            "next": urlencode({**query.model_dump(exclude_defaults=True), "cursor": cursor}) if cursor else None,
        },
        HTTPStatus.UNPROCESSABLE_ENTITY if faults else HTTPStatus.OK,
    )


def _found(query: FindSuppressionsQuery) -> ListPage[Suppression]:
    built = application()
    if wanted := typed_phone(query.phone):
        found = built.suppressions.get(wanted) if is_phone(wanted) else None
        return ListPage([found] if found else [])
    return built.suppress_phones.page(_unsealed(query.cursor) if query.cursor else None, query.limit)


# The API's cursors are signed, for anybody to read; a position in this list names a phone, which not all may see.


def _sealed(after: str) -> str:
    return seal({"after": after}, application().derived_key(CURSORS))


def _unsealed(cursor: str) -> str:
    content = unseal(cursor, application().derived_key(CURSORS))
    if content is None:
        raise ValidationError(FieldError("cursor", "is not a cursor of this list"))
    return str(content["after"])
