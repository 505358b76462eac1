import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
)

from local_error import LocalError
from shell_session import ShellSession, said_by

EMULATOR = "http://127.0.0.1:4566"


@pytest.fixture(autouse=True)
def _no_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "CreateChangeSet")


def test_aws_is_refused_without_a_region() -> None:
    with pytest.raises(LocalError, match="no region is named"):
        ShellSession({})


def test_aws_is_where_the_shell_says() -> None:
    session = ShellSession({"AWS_REGION": "eu-central-1"})

    assert (session.region, session.emulated) == ("eu-central-1", False)
    assert session.client("s3").meta.endpoint_url == "https://s3.eu-central-1.amazonaws.com"


def test_emulator_needs_neither_region_nor_credentials() -> None:
    session = ShellSession({"AWS_ENDPOINT_URL": EMULATOR})
    s3 = session.client("s3")

    assert (session.region, session.emulated) == ("us-east-1", True)
    assert s3.meta.endpoint_url == EMULATOR
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": "some", "Key": "key"})
    assert signed.startswith(f"{EMULATOR}/some/key?")
    assert "test" in signed


def test_credentials_of_the_shell_go_to_an_emulator_too(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"AWS_ACCESS_KEY_ID": "AKIAOWN", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": EMULATOR}
    for name, value in own.items():
        monkeypatch.setenv(name, value)

    signed = ShellSession(own).client("s3").generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})

    assert "AKIAOWN" in signed


@pytest.mark.parametrize(
    ("error", "way_out"),
    [
        (NoCredentialsError(), "aws sso login"),
        (ProfileNotFound(profile="work"), "AWS_PROFILE"),
        (EndpointConnectionError(endpoint_url="https://sts.nowhere-1.amazonaws.com"), "is the region right"),
        (refused("ExpiredToken"), "expired"),
        (refused("InvalidClientTokenId"), "aws configure list"),
        (refused("AccessDenied"), "infra/deploy-role.yaml"),
        (refused("Throttling"), "Throttling"),
        (ReadTimeoutError(endpoint_url="https://sts.amazonaws.com"), "timeout"),
    ],
)
def test_each_error_of_aws_is_one_line_with_the_way_out(error: BotoCoreError | ClientError, way_out: str) -> None:
    said = said_by(error)

    assert way_out in said
    assert "\n" not in said
