"""The bucket of uploaded files (port: `Uploads`). An object's key is the id of its import."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.csv_rows import UnreadableFileError
from chalicelib.errors import TransientError
from chalicelib.ports import Uploaded, UploadForm

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_GONE = frozenset({"404", "NoSuchKey"})
_REPLACED = frozenset({"412", "PreconditionFailed"})


class S3Uploads:
    """Uploads over S3."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def form(self, import_id: str, max_bytes: int, lifetime: timedelta, then: str | None = None) -> UploadForm:
        """Sign a form by which anybody may upload this one file, of so many bytes at most. Nothing is asked of S3.

        Once the file is there S3 sends a browser to the address `then`, with `bucket`, `key` and `etag` in its query.
        """
        back = {"success_action_redirect": then} if then else {}
        signed = self._client.generate_presigned_post(
            Bucket=self._bucket,
            Key=import_id,
            Fields=dict(back),  # boto3 puts its own into it
            Conditions=[["content-length-range", 0, max_bytes], *([back] if back else [])],
            ExpiresIn=int(lifetime.total_seconds()),
        )
        return UploadForm(signed["url"], signed["fields"])

    def find(self, import_id: str) -> Uploaded | None:
        """Look whether the file is there."""
        try:
            with _translated():
                found = self._client.head_object(Bucket=self._bucket, Key=import_id)
        except _GoneError:
            return None
        return Uploaded(found["ContentLength"], found["ETag"])

    def read(self, import_id: str, etag: str, start: int, length: int) -> bytes:
        """Read some bytes of the file, or those that are left.

        Raises:
            UnreadableFileError: it is gone, or another has taken its place.
        """
        span = f"bytes={start}-{start + length - 1}"
        try:
            with _translated():
                answer = self._client.get_object(Bucket=self._bucket, Key=import_id, Range=span, IfMatch=etag)
                return answer["Body"].read()
        except _GoneError as error:
            raise UnreadableFileError("the file was deleted while it was read") from error


class _GoneError(Exception):
    """There is no such object."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _GONE:
            raise _GoneError from error
        if code in _REPLACED:
            raise UnreadableFileError("another file was uploaded in its place while it was read") from error
        raise TransientError(str(error)) from error
    except BotoCoreError as error:
        raise TransientError(str(error)) from error
