from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from infra.host import log_shipping
from infra.host.log_shipping import LogShipper, print_line

GROUP = "/aws/lambda/vestnik-sender"
AwsClient = Any  # boto3's clients are made at run time


@pytest.fixture
def logs() -> Iterator[AwsClient]:
    with mock_aws():
        made = boto3.client("logs", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
        made.create_log_group(logGroupName=GROUP)
        made.create_log_group(logGroupName="/aws/lambda/vestnik-planner")
        yield made


class Unreachable:
    """Logs that cannot be reached while `down`."""

    def __init__(self, logs: AwsClient) -> None:
        self._logs = logs
        self.down = True

    def __getattr__(self, name: str) -> AwsClient:
        if self.down:
            raise EndpointConnectionError(endpoint_url="https://logs")
        return getattr(self._logs, name)


def shipped(logs: AwsClient, group: str = GROUP) -> list[str]:
    return [
        event["message"]
        for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]
        for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)[
            "events"
        ]
    ]


def test_lines_go_to_stdout_and_to_the_group_of_their_function(
    logs: AwsClient, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    shipper = LogShipper(logs)
    shipper("sender", '{"message": "ж"}\n'.encode())
    shipper("sender", b"two\n")
    shipper("planner", b"three\n")
    shipper("sender", b"\n")
    shipper.close()

    assert capfdbinary.readouterr().out == '{"message": "ж"}\ntwo\nthree\n\n'.encode()
    assert shipped(logs) == ['{"message": "ж"}', "two"]
    assert shipped(logs, "/aws/lambda/vestnik-planner") == ["three"]


def test_lines_go_to_stdout_alone_unless_they_are_shipped(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    print_line("sender", b"one\n")

    assert capfdbinary.readouterr().out == b"one\n"


def test_lines_wait_while_they_cannot_be_shipped_and_that_is_said_once(
    logs: AwsClient, caplog: pytest.LogCaptureFixture
) -> None:
    way = Unreachable(logs)
    shipper = LogShipper(way)  # type: ignore[arg-type]
    for text in (b"one\n", b"two\n"):
        shipper("sender", text)
        shipper._ship()
    way.down = False
    shipper("sender", b"three\n")
    shipper.close()

    assert shipped(logs) == ["one", "two", "three"]
    assert [record.message for record in caplog.records] == ["lines not shipped, they wait", "lines are shipped again"]


def test_oldest_lines_are_lost_when_too_many_wait_and_that_is_said(
    logs: AwsClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_shipping, "MOST_WAITING", 2)
    way = Unreachable(logs)
    shipper = LogShipper(way)  # type: ignore[arg-type]
    for number in range(5):
        shipper("sender", b"%d\n" % number)
    shipper._ship()
    way.down = False
    shipper.close()

    assert shipped(logs) == ["3", "4"]
    lost = [record.__dict__["lines"] for record in caplog.records if record.message == "lines lost"]
    assert lost == [3]


def test_what_is_too_much_for_one_call_goes_in_several(logs: AwsClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_shipping, "MOST_AT_ONCE", 3)
    monkeypatch.setattr(log_shipping, "MOST_BYTES", 1000)
    shipper = LogShipper(logs)
    lines = [str(number) * (400 if number > 3 else 1) for number in range(8)]
    for line in lines:
        shipper("sender", f"{line}\n".encode())
    shipper.close()

    assert shipped(logs) == lines
