"""What the port `Uploads` promises, of the adapter and of its fake; and what S3 has besides."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from chalicelib.adapters.uploads import S3Uploads
from chalicelib.domain.csv_rows import UnreadableFileError
from chalicelib.errors import TransientError
from chalicelib.ports import Uploads
from tests.builders import ulid
from tests.fakes.imports import FakeUploads

BUCKET = "imports-of-tests"
ID = ulid(200)
AwsClient = Any  # boto3's clients are made at run time


@dataclass(frozen=True)
class Case:
    """One implementation, a way to put a file there, and one to take it away."""

    uploads: Uploads
    put: Callable[[bytes], object]
    delete: Callable[[], object]


@pytest.fixture
def client() -> Iterator[AwsClient]:
    with mock_aws():
        made = boto3.client("s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
        made.create_bucket(Bucket=BUCKET)
        yield made


@pytest.fixture(params=["s3", "fake"])
def case(request: pytest.FixtureRequest) -> Case:
    if request.param == "fake":
        fake = FakeUploads()
        return Case(fake, lambda content: fake.files.update({ID: content}), lambda: fake.files.pop(ID))
    client = request.getfixturevalue("client")
    return Case(
        S3Uploads(client, BUCKET),
        lambda content: client.put_object(Bucket=BUCKET, Key=ID, Body=content),
        lambda: client.delete_object(Bucket=BUCKET, Key=ID),
    )


def test_a_file_is_found_once_it_is_there(case: Case) -> None:
    assert case.uploads.find(ID) is None
    case.put(b"0123456789")
    found = case.uploads.find(ID)
    assert found
    assert found.size_bytes == 10
    case.put(b"another")
    assert case.uploads.find(ID) != found


def test_a_file_is_read_in_pieces(case: Case) -> None:
    case.put(b"0123456789")
    found = case.uploads.find(ID)
    assert found
    assert [case.uploads.read(ID, found.etag, start, 4) for start in (0, 4, 8)] == [b"0123", b"4567", b"89"]


def test_another_file_in_its_place_is_not_read(case: Case) -> None:
    case.put(b"0123456789")
    found = case.uploads.find(ID)
    assert found
    case.put(b"9876543210")
    with pytest.raises(UnreadableFileError, match="another file"):
        case.uploads.read(ID, found.etag, 0, 4)
    case.delete()
    with pytest.raises(UnreadableFileError, match="deleted"):
        case.uploads.read(ID, found.etag, 0, 4)


def test_the_form_allows_one_file_of_some_size_for_some_time(client: AwsClient) -> None:
    form = S3Uploads(client, BUCKET).form(ID, 1000, timedelta(hours=1))
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    assert form.fields["key"] == ID
    assert BUCKET in form.url
    assert ["content-length-range", 0, 1000] in policy["conditions"]
    assert {"bucket": BUCKET} in policy["conditions"]
    assert {"key": ID} in policy["conditions"]


def test_a_form_leads_a_browser_back(client: AwsClient) -> None:
    back = "https://vestnik.example/api/admin/clients/imports/1"
    form = S3Uploads(client, BUCKET).form(ID, 1000, timedelta(hours=1), back)
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    assert form.fields["success_action_redirect"] == back
    assert {"success_action_redirect": back} in policy["conditions"]
    sent = requests.post(form.url, data=form.fields, files={"file": b"phone"}, allow_redirects=False, timeout=5)
    assert (sent.status_code, sent.headers["Location"].partition("?")[0]) == (303, back)


class Failing:
    """An S3 client that answers with an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def head_object(self, **_: object) -> None:
        raise self._error

    get_object = head_object


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "SlowDown", "Message": ""}}, "GetObject"),
        ReadTimeoutError(endpoint_url="https://s3.example"),
    ],
)
def test_an_s3_that_does_not_answer_is_a_passing_error(error: Exception) -> None:
    failing: Any = Failing(error)
    uploads = S3Uploads(failing, BUCKET)
    with pytest.raises(TransientError):
        uploads.find(ID)
    with pytest.raises(TransientError):
        uploads.read(ID, '"e"', 0, 4)
