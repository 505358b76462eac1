"""Mailings: the list, and the forms to create, duplicate and change one."""

from dataclasses import astuple
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from chalicelib.admin.mailing_form import Faults, MailingForm
from chalicelib.admin.pages import Form, Page, Pages, Redirect, Visit
from chalicelib.admin.repeats import id_for
from chalicelib.admin.roles import Role
from chalicelib.api.lists import next_cursor, position
from chalicelib.api.mailing_schemas import MailingResponse
from chalicelib.api.mailing_schemas import MailingStatus as ShownStatus
from chalicelib.api.preconditions import IfMatch, tag_of
from chalicelib.api.preview_schemas import PreviewResponse
from chalicelib.api.problems import HttpError
from chalicelib.api.schemas import PageQuery
from chalicelib.bootstrap import application, new_id
from chalicelib.domain.mailing import ENDED, NOT_STARTED, Mailing, MailingStatus
from chalicelib.errors import ConflictError, ValidationError
from chalicelib.ports import Page as Listed

mailings = Pages(__name__)

PAGE = 25
SEARCHED = 100  # mailings a read, and reads a page, when a text is looked for
MAX_READS = 10
LASTS = timedelta(days=1)  # what a blank form proposes


class MailingsQuery(PageQuery):
    """Which mailings are listed; an empty field of the form that filters is as good as none."""

    status: Annotated[ShownStatus | None, BeforeValidator(lambda value: value or None)] = None
    q: str = Field(default="", max_length=200)


@mailings.page("/mailings", Role.VIEWER)
def list_mailings(query: MailingsQuery, visit: Visit) -> Page:
    """List mailings, newest first, with what became of their messages."""
    built = application()
    page = _found(query, position(visit.request, query))
    counts = built.read_statistics.counts_of([mailing.id for mailing in page.items])
    listed = [(mailing, counts[mailing.id]) for mailing in page.items]
    values = {"listed": listed, "query": query, "next": next_cursor(visit.request, query, page)}
    statuses = [status for status in MailingStatus if status is not MailingStatus.DELETED]
    return Page(
        "mailings.html", {"section": "mailings", "statuses": statuses, "searched": SEARCHED * MAX_READS, **values}
    )


def _found(query: MailingsQuery, after: str | None) -> Listed[Mailing]:
    """Read a page; a text is looked for in at most a thousand mailings, from which one can go on."""
    status = MailingStatus(query.status) if query.status else None
    read = application().manage_mailings.page
    wanted = query.q.strip().casefold()
    if not wanted:
        return read(status, after, PAGE)
    found: list[Mailing] = []
    for _ in range(MAX_READS):
        page = read(status, after, SEARCHED)
        found += [each for each in page.items if wanted in each.text.casefold() or wanted in _words(each)]
        after = page.next
        if after is None or len(found) >= PAGE:
            break
    return Listed(found, after)


def _words(mailing: Mailing) -> str:
    """Join what a list shows of a mailing beside its text."""
    return " ".join([mailing.id, *mailing.filter.operator_codes, *mailing.filter.tags]).casefold()


@mailings.page("/mailings/new", Role.EDITOR)
def new_mailing(visit: Visit) -> Page:
    """Show a blank form."""
    now = application().clock()
    return _new(MailingForm.blank(now, now + LASTS, visit.preferences.zone))


@mailings.page("/mailings/{mailing_id}/duplicate", Role.EDITOR)
def duplicate_mailing(mailing_id: str, visit: Visit) -> Page:
    """Show a form that is filled in as a mailing is, to begin now, for as long."""
    built = application()
    mailing = built.manage_mailings.get(mailing_id)
    now = built.clock()
    filled = MailingForm.of(mailing, visit.preferences.zone)
    return _new(filled.with_times(now, now + (mailing.end_at - mailing.start_at)))


@mailings.action("/mailings/new", Role.EDITOR)
def create_mailing(form: Form, visit: Visit) -> Page | Redirect:
    """Create what was filled in: as a draft, or to be started, which is for those who may send."""
    filled = MailingForm.posted(form)
    key, wish = form.text("key"), form.text("do")
    draft = wish != "start"
    if not draft and not visit.may(Role.SENDER):
        raise HttpError(HTTPStatus.FORBIDDEN, f"this needs the role {Role.SENDER}")
    try:
        if wish == "preview":
            return _new(filled, key, preview=_previewed(filled))
        new = filled.create_request(draft=draft).to_new_mailing()
        made = application().manage_mailings.create(new, id_for(key, wish, *astuple(filled)))
    except ValidationError as error:
        return _new(filled, key, filled.faults(error))
    return Redirect(f"mailings/{made.id}", "saved" if draft else "started")


@mailings.action("/mailings/preview", Role.EDITOR)
def preview_mailing(form: Form) -> Page:
    """Show what would become of what is filled in so far, or what is not right about it yet."""
    filled = MailingForm.posted(form)
    try:
        return Page("mailing_preview.html", {"preview": _previewed(filled), "faults": {}})
    except ValidationError as error:
        return Page("mailing_preview.html", {"preview": None, "faults": filled.faults(error)})


@mailings.page("/mailings/{mailing_id}/edit", Role.EDITOR)
def edit_mailing(mailing_id: str, visit: Visit) -> Page:
    """Show the form of a mailing."""
    mailing = application().manage_mailings.get(mailing_id)
    _check_may_change(mailing, visit)
    if mailing.status in ENDED:
        raise ConflictError(f"the mailing is {mailing.status} and cannot be changed any more")
    return _edit(mailing, MailingForm.of(mailing, visit.preferences.zone))


@mailings.action("/mailings/{mailing_id}/edit", Role.EDITOR)
def change_mailing(mailing_id: str, form: Form, visit: Visit) -> Page | Redirect:
    """Change a mailing, unless somebody else has since the form was shown: then both are shown."""
    manage = application().manage_mailings
    filled = MailingForm.posted(form)
    meant_for = IfMatch({form.text("tag")})

    def change(mailing: Mailing) -> Mailing:
        _check_may_change(mailing, visit)
        asked = filled.change_request(mailing)
        meant_for.check(MailingResponse.of(mailing))
        return asked.applied_to(mailing)

    try:
        if form.text("do") == "preview":
            return _edit(manage.get(mailing_id), filled, form.text("tag"), preview=_previewed(filled))
        manage.update(mailing_id, change)
    except ValidationError as error:
        return _edit(manage.get(mailing_id), filled, form.text("tag"), filled.faults(error))
    except HttpError as error:
        if error.status is not HTTPStatus.PRECONDITION_FAILED:
            raise
        return _changed_in_between(manage.get(mailing_id), filled)
    return Redirect(f"mailings/{mailing_id}", "saved")


def _check_may_change(mailing: Mailing, visit: Visit) -> None:
    if mailing.status is not MailingStatus.DRAFT and not visit.may(Role.SENDER):
        detail = f"the mailing is no draft: to change it needs the role {Role.SENDER}"
        raise HttpError(HTTPStatus.FORBIDDEN, detail)


def _previewed(filled: MailingForm) -> PreviewResponse:
    return PreviewResponse.of(application().preview_mailing(filled.create_request(draft=True).to_new_mailing()))


def _new(
    filled: MailingForm, key: str | None = None, faults: Faults | None = None, preview: PreviewResponse | None = None
) -> Page:
    return _form(filled, faults, {"mailing": None, "key": key or new_id(), "tag": "", "preview": preview})


def _edit(
    mailing: Mailing,
    filled: MailingForm,
    tag: str | None = None,
    faults: Faults | None = None,
    preview: PreviewResponse | None = None,
) -> Page:
    tag = tag or tag_of(MailingResponse.of(mailing))
    return _form(filled, faults, {"mailing": mailing, "key": "", "tag": tag, "preview": preview})


def _changed_in_between(mailing: Mailing, filled: MailingForm) -> Page:
    """Show what was typed beside what it would write over; saved again, it does."""
    present = MailingForm.of(mailing, filled.zone)
    tag = tag_of(MailingResponse.of(mailing))
    values = {"mailing": mailing, "key": "", "tag": tag, "preview": None, "present": filled.differences(present)}
    return _form(filled, None, values, HTTPStatus.PRECONDITION_FAILED)


def _form(
    filled: MailingForm, faults: Faults | None, values: dict[str, Any], status: HTTPStatus = HTTPStatus.OK
) -> Page:
    mailing = values["mailing"]
    started = mailing is not None and mailing.status not in NOT_STARTED
    shown = {"section": "mailings", "form": filled, "faults": faults or {}, "present": None, "started": started}
    return Page("mailing_form.html", shown | values, HTTPStatus.UNPROCESSABLE_ENTITY if faults else status)
