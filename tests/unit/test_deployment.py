"""What CloudFormation may answer that the emulator never does: failures, as AWS words them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import deployment
import stack_events
from bundle import Bundle
from deployment import Deployment, Proposal
from local_error import LocalError

STACK_ID = "arn:aws:cloudformation:eu-central-1:123456789012:stack/vestnik-dev/1a2b"
PROPOSAL = Proposal(
    "arn:aws:cloudformation:eu-central-1:123456789012:changeSet/deploy-1/1a2b", creates=False, template={}
)
RATE = "Invalid request provided: rate exceeds the account's limit"


def event(status: str, resource: str = "vestnik-dev", reason: str = "") -> dict[str, Any]:
    of_stack = resource == "vestnik-dev"
    return {
        "EventId": f"{resource}-{status}",
        "StackId": STACK_ID,
        "LogicalResourceId": resource,
        "PhysicalResourceId": STACK_ID if of_stack else f"vestnik-dev-{resource}",
        "ResourceType": "AWS::CloudFormation::Stack" if of_stack else "AWS::Lambda::Function",
        "ResourceStatus": status,
        "Timestamp": datetime(2026, 11, 23, 12, tzinfo=UTC),
        **({"ResourceStatusReason": reason} if reason else {}),
    }


@dataclass
class CloudFormation:
    """Answers a change set that is carried out: `later` are the events, the first of them first."""

    later: Sequence[Mapping[str, Any]] = ()
    status: str | None = "UPDATE_COMPLETE"
    found: Sequence[Mapping[str, Any]] = ()
    executed: list[str] = field(default_factory=list)

    def client(self, _service: str) -> "CloudFormation":
        return self

    def execute_change_set(self, *, ChangeSetName: str, StackName: str) -> None:  # noqa: N803 - as boto3 has it
        assert StackName == "vestnik-dev"
        self.executed.append(ChangeSetName)

    def describe_stacks(self, **_: str) -> dict[str, Any]:
        return {"Stacks": [{"StackId": STACK_ID, "StackStatus": self.status}] if self.status else []}

    def get_paginator(self, operation: str) -> SimpleNamespace:
        return SimpleNamespace(paginate=lambda **_: getattr(self, f"_{operation}")())

    def _describe_stack_events(self) -> Iterator[dict[str, Any]]:
        earlier = [event("UPDATE_COMPLETE")]
        shown = [*reversed(self.later), *earlier] if self.executed else earlier
        yield {"StackEvents": shown[:1]}
        yield {"StackEvents": shown[1:]}

    def _describe_events(self) -> Iterator[dict[str, Any]]:
        yield {"OperationEvents": self.found}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "AWS_POLL_SECONDS", 0)


def carried_out(aws: CloudFormation) -> list[str]:
    told: list[str] = []
    Deployment(aws, "vestnik-dev", emulated=False).execute(PROPOSAL, lambda each: told.append(each["EventId"]))
    assert aws.executed == [PROPOSAL.id]
    return told


def test_each_event_is_told_once_in_its_order_and_earlier_ones_are_not() -> None:
    later = [
        event("UPDATE_IN_PROGRESS"),
        event("UPDATE_COMPLETE", "Sender"),
        {**event("UPDATE_COMPLETE"), "EventId": "end"},
    ]

    assert carried_out(CloudFormation(later)) == ["vestnik-dev-UPDATE_IN_PROGRESS", "Sender-UPDATE_COMPLETE", "end"]


def test_update_that_fails_names_each_cause_and_says_that_nothing_is_changed() -> None:
    later = [
        event("UPDATE_IN_PROGRESS"),
        event("UPDATE_FAILED", "Sender", RATE),
        event("UPDATE_ROLLBACK_IN_PROGRESS"),
        event("UPDATE_ROLLBACK_COMPLETE"),
    ]

    with pytest.raises(LocalError) as failed:
        carried_out(CloudFormation(later))

    assert str(failed.value).splitlines() == [
        "the stack ended in UPDATE_ROLLBACK_COMPLETE:",
        f"  Sender (AWS::Lambda::Function): {RATE}",
        "Nothing is changed: it is rolled back. Mend what is named, and deploy again.",
    ]


def test_creation_that_fails_is_followed_to_the_end_of_its_rollback() -> None:
    hint = "Validation failed with 1 error(s). Call DescribeEvents to retrieve the full list"
    later = [event("CREATE_FAILED", reason=hint), event("ROLLBACK_IN_PROGRESS"), event("ROLLBACK_COMPLETE")]
    found = [
        {"EventType": "STACK_EVENT", "LogicalResourceId": "Sender"},
        {"EventType": "VALIDATION_ERROR", "LogicalResourceId": "ImportsBucket", "ValidationStatusReason": "it exists"},
    ]

    with pytest.raises(LocalError) as failed:
        carried_out(CloudFormation(later, found=found))

    assert "  ImportsBucket: it exists\n" in str(failed.value)
    assert str(failed.value).endswith("\nDelete what is left of it (make destroy), and deploy again.")


def test_stack_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_events, "DEADLINE_SECONDS", 0.01)

    with pytest.raises(LocalError, match=r"not ready after 0\.01 s"):
        carried_out(CloudFormation([event("UPDATE_IN_PROGRESS")]))


@pytest.mark.parametrize(
    ("status", "way_out"),
    [
        ("UPDATE_IN_PROGRESS", "wait until that has ended"),
        ("ROLLBACK_COMPLETE", "make destroy"),
        ("DELETE_FAILED", "make destroy"),
        ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback --stack-name vestnik-dev"),
    ],
)
def test_stack_that_takes_no_change_is_refused_with_the_way_out(status: str, way_out: str, tmp_path: Path) -> None:
    aws = CloudFormation(status=status)

    with pytest.raises(LocalError, match=status) as refused:
        Deployment(aws, "vestnik-dev", emulated=False).propose(Bundle(tmp_path, "digest"), {})

    assert way_out in str(refused.value)
