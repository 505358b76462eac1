from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from chalicelib.domain.bulk_import import Import, Refusal, Tally
from chalicelib.domain.csv_rows import UnreadableFileError
from chalicelib.errors import StaleError
from chalicelib.ports import Page, Uploaded, UploadForm


class FakeImportRepository:
    """Imports in memory (port: `ImportRepository`); `tallies` is what `FakeClientRepository` counts."""

    def __init__(self, tallies: Mapping[str, Tally]) -> None:
        self.stored: dict[str, Import] = {}
        self.refused: defaultdict[str, dict[int, Refusal]] = defaultdict(dict)
        self._tallies = tallies

    def create(self, new: Import) -> None:
        if new.id in self.stored:
            raise StaleError("exists")
        self.stored[new.id] = new

    def get(self, import_id: str) -> Import | None:
        return self.stored.get(import_id)

    def replace(self, before: Import, after: Import, refusals: Sequence[Refusal] = ()) -> None:
        if before.id not in self.stored or self.stored[before.id].version != before.version:
            raise StaleError("changed since")
        self.stored[after.id] = after
        self.refused[after.id] |= {refusal.line: refusal for refusal in refusals}

    def tally(self, import_id: str) -> Tally:
        return self._tallies.get(import_id, Tally())

    def refusals(self, import_id: str, after: str | None, limit: int) -> Page[Refusal]:
        found = sorted(
            (refusal for refusal in self.refused[import_id].values() if refusal.line > int(after or 0)),
            key=lambda refusal: refusal.line,
        )
        return Page(found[:limit], str(found[limit - 1].line) if len(found) > limit else None)

    def due(self, before: datetime, limit: int) -> Sequence[str]:
        return [one.id for one in self.stored.values() if one.due_at and one.due_at <= before][:limit]


class FakeUploads:
    """Uploaded files in memory (port: `Uploads`); `reads` tells what was read of them: id, start and length."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.reads: list[tuple[str, int, int]] = []

    def form(self, import_id: str, max_bytes: int, lifetime: timedelta, then: str | None = None) -> UploadForm:
        back = {"success_action_redirect": then} if then else {}
        return UploadForm("https://uploads.example/", {"key": import_id, "limits": f"{max_bytes} {lifetime}", **back})

    def find(self, import_id: str) -> Uploaded | None:
        file = self.files.get(import_id)
        return None if file is None else Uploaded(len(file), _etag(file))

    def read(self, import_id: str, etag: str, start: int, length: int) -> bytes:
        self.reads.append((import_id, start, length))
        if import_id not in self.files:
            raise UnreadableFileError("the file was deleted while it was read")
        if _etag(self.files[import_id]) != etag:
            raise UnreadableFileError("another file was uploaded in its place while it was read")
        return self.files[import_id][start : start + length]


def _etag(file: bytes) -> str:
    return f'"{hash(file)}"'
