from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field

from chalicelib.api.lists import ListResponse
from chalicelib.api.schemas import ShownMoment, WireModel
from chalicelib.domain.bulk_import import MAX_BYTES, MAX_LISTED, UPLOAD_TIME, Import, Refusal, Tally
from chalicelib.ports import UploadForm


class ImportProgress(WireModel):
    """How far an import is. `created`, `changed`, `unchanged` and `refused` add up to `rows`."""

    bytes: int = Field(description="of the file, read and done with")
    bytes_total: int | None = Field(description="of the file, once it is there")
    rows: int
    created: int
    changed: int
    unchanged: int
    refused: int

    @classmethod
    def of(cls, shown: Import, tally: Tally) -> Self:
        """Show how far an import is."""
        return cls(
            bytes=shown.offset,
            bytes_total=None if shown.etag is None else shown.size_bytes,
            rows=shown.rows,
            created=tally.created,
            changed=tally.changed,
            unchanged=shown.unchanged(tally),
            refused=shown.refused,
        )


class UploadResponse(WireModel):
    """How to upload the file: POST to `url` as `multipart/form-data`, all `fields` first and `file` last."""

    url: str
    fields: Mapping[str, str]
    max_bytes: int
    expires_at: ShownMoment

    @classmethod
    def of(cls, created: Import, form: UploadForm) -> Self:
        """Show how to upload the file of an import."""
        return cls(url=form.url, fields=form.fields, max_bytes=MAX_BYTES, expires_at=created.created_at + UPLOAD_TIME)


class RefusedRowResponse(WireModel):
    """Why a row was refused. What stood in it is not repeated."""

    line: int = Field(description="of the file, from 1, in which the row begins")
    field: str = Field(description="a column, or `row`: the row as a whole")
    reason: str

    @classmethod
    def of(cls, refusal: Refusal) -> Self:
        """Show a refusal."""
        return cls(line=refusal.line, field=refusal.field, reason=refusal.reason)


class ImportResponse(WireModel):
    """An import: `waiting` for its file, `running`, `finished`, or `failed` because the file could not be read on."""

    id: str
    kind: Literal["clients", "suppressions"]
    status: Literal["waiting", "running", "finished", "failed"]
    failure: str | None = Field(description="why it failed; rows before that were imported, as `progress` says")
    created_at: ShownMoment
    started_at: ShownMoment | None
    finished_at: ShownMoment | None
    progress: ImportProgress
    upload: UploadResponse | None = Field(description="where to upload the file; only when the import is created")
    refused_rows: ListResponse[RefusedRowResponse] = Field(
        description=f"the first {MAX_LISTED} refused rows, a page at a time, in order of their lines"
    )

    @classmethod
    def of(
        cls,
        shown: Import,
        tally: Tally,
        refused_rows: ListResponse[RefusedRowResponse],
        upload: UploadResponse | None = None,
    ) -> Self:
        """Show an import."""
        return cls(
            id=shown.id,
            kind=shown.kind.value,
            status=shown.status.value,
            failure=shown.failure,
            created_at=shown.created_at,
            started_at=shown.started_at,
            finished_at=shown.finished_at,
            progress=ImportProgress.of(shown, tally),
            upload=upload,
            refused_rows=refused_rows,
        )
