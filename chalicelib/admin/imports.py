from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from chalicelib.admin.pages import CONTENT_SECURITY_POLICY, Page, Pages, Redirect, Visit
from chalicelib.admin.public_address import public_address
from chalicelib.admin.roles import Role
from chalicelib.api.import_schemas import ImportProgress
from chalicelib.api.lists import next_cursor, position
from chalicelib.api.schemas import PageQuery
from chalicelib.bootstrap import application
from chalicelib.domain.bulk_import import MAX_BYTES, MAX_LISTED, ImportKind, ImportStatus
from chalicelib.ports import UploadForm

imports = Pages(__name__)

FromS3 = Annotated[str, Field(max_length=1024, exclude=True)]  # not of the list that a cursor belongs to


class ImportQuery(PageQuery):
    """Which refused rows; and what S3 adds when it sends a browser back here after an upload."""

    bucket: FromS3 = ""
    key: FromS3 = ""
    etag: FromS3 = ""


@imports.page("/clients/import", Role.EDITOR)
def explain_client_import() -> Page:
    """Say what a file of clients looks like, and offer to begin."""
    return _explained(ImportKind.CLIENTS)


@imports.action("/clients/imports", Role.EDITOR)
def begin_client_import() -> Redirect:
    """Begin an import of clients."""
    return _begun(ImportKind.CLIENTS)


@imports.page("/clients/imports/{import_id}", Role.VIEWER)
def show_client_import(import_id: str, query: ImportQuery, visit: Visit) -> Page:
    """Show how far an import of clients is, and where to upload its file."""
    return _shown(ImportKind.CLIENTS, import_id, query, visit)


@imports.page("/suppressions/import", Role.EDITOR)
def explain_suppression_import() -> Page:
    """Say what a file of suppressed phones looks like, and offer to begin."""
    return _explained(ImportKind.SUPPRESSIONS)


@imports.action("/suppressions/imports", Role.EDITOR)
def begin_suppression_import() -> Redirect:
    """Begin an import of suppressed phones."""
    return _begun(ImportKind.SUPPRESSIONS)


@imports.page("/suppressions/imports/{import_id}", Role.VIEWER)
def show_suppression_import(import_id: str, query: ImportQuery, visit: Visit) -> Page:
    """Show how far an import of suppressed phones is, and where to upload its file."""
    return _shown(ImportKind.SUPPRESSIONS, import_id, query, visit)


def _explained(kind: ImportKind) -> Page:
    return Page("import_new.html", {"section": kind.value, "kind": kind.value, "max_bytes": MAX_BYTES})


def _begun(kind: ImportKind) -> Redirect:
    created, _ = application().manage_imports.create(kind)
    return Redirect(f"{kind}/imports/{created.id}")


def _shown(kind: ImportKind, import_id: str, query: ImportQuery, visit: Visit) -> Page:
    service = application().manage_imports
    shown, tally = service.get(kind, import_id)
    refused = service.refusals(import_id, position(visit.request, query), query.limit)
    uploaded = bool(query.etag)
    form: UploadForm | None = None
    if shown.status is ImportStatus.WAITING and not uploaded and visit.may(Role.EDITOR):
        # The form is not kept: whoever opens the page gets one that is good for the rest of the hour.
        # S3 leads back to absolute addresses only.
        form = service.form(shown, then=f"{public_address(visit.request)}{kind}/imports/{import_id}")
    values = {
        "section": kind.value,
        "shown": shown,
        "progress": ImportProgress.of(shown, tally),
        "uploaded": uploaded,
        "form": form,
        "refused": refused.items,
        "listed_at_most": MAX_LISTED,
        "first": query.cursor is None,
        "next": next_cursor(visit.request, query, refused),
    }
    return Page("import.html", values, headers=_allowing(form) if form else {})


def _allowing(form: UploadForm) -> dict[str, str | list[str]]:
    """Let this page's form be sent to where files are uploaded, and nowhere else."""
    to = urlsplit(form.url)
    own = "form-action 'self'"
    allowed = CONTENT_SECURITY_POLICY.replace(own, f"{own} {to.scheme}://{to.netloc}")
    return {"Content-Security-Policy": allowed}
