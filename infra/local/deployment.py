"""CloudFormation: a bundle and its parameters become a stack, or change one, by way of a change set."""

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from botocore.exceptions import ClientError

from artifacts import Artifacts
from bundle import Bundle
from emulated import age_rows, with_values
from leftovers import Leftovers
from local_error import LocalError
from stack_events import Event, StackEvents

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
EMULATOR_POLL_SECONDS, AWS_POLL_SECONDS = 0.2, 3
PROPOSAL_SECONDS = 300
NEW = "REVIEW_IN_PROGRESS"
"""Of a stack that only a change set speaks of."""
_NOTHING_TO_DO = ("didn't contain changes", "No updates are to be performed")

Template = dict[str, Any]


class Session(Protocol):
    """Makes clients: a local session, or the shell's."""

    def client(self, service: str, /) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Make a client of the service."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change set that waits: what CloudFormation would do, as describe_change_set has it (`ResourceChange`)."""

    id: str
    creates: bool
    template: Template
    changes: Sequence[Mapping[str, Any]] = ()


class Deployment:
    """One stack, by its name. `emulated`: the other side is an emulator, and is helped over its gaps."""

    def __init__(self, session: Session, stack_name: str, *, emulated: bool, bucket: str | None = None) -> None:
        self._session = session
        self._cloudformation = session.client("cloudformation")
        self._dynamodb = session.client("dynamodb")
        self._s3 = session.client("s3")
        self._stack_name = stack_name
        self._emulated = emulated
        self._bucket = bucket
        self._poll_seconds = EMULATOR_POLL_SECONDS if emulated else AWS_POLL_SECONDS

    def apply(self, bundle: Bundle, parameters: Mapping[str, str]) -> dict[str, str]:
        """Create the stack or update it in place, unasked, and return its outputs; what is not named has its default.

        Raises:
            LocalError: the stack failed; the message holds the events that say why.
        """
        if proposal := self.propose(bundle, parameters):
            self.execute(proposal)
        return self.outputs()

    def propose(
        self, bundle: Bundle, parameters: Mapping[str, str], *, kept: Collection[str] = (), adopt: bool = False
    ) -> Proposal | None:
        """Make a change set and wait for it; None: nothing would change.

        Args:
            bundle: what to deploy.
            parameters: by their names in the template.
            kept: names of parameters that stay as they are.
            adopt: take over the tables and the bucket that are there, if the stack is not.

        Raises:
            LocalError: there can be none; the message says why, and the way out.
        """
        stack = self._describe()
        creates = stack is None or stack["StackStatus"] == NEW
        if stack and not creates:
            self._refuse_state(stack["StackStatus"])
        template = json.loads(bundle.template.read_text())
        if creates:
            left = Leftovers(self._dynamodb, self._s3, self._stack_name, template)
            if not adopt:
                self._refuse(left.names())
            template = left.spelt_out(template)
        if self._emulated:
            earlier = self.parameters()
            template = with_values(template, {**{name: earlier[name] for name in kept}, **parameters})
        name = f"deploy-{int(time.time() * 1000)}"
        try:
            answer = self._cloudformation.create_change_set(
                StackName=self._stack_name,
                ChangeSetName=name,
                ChangeSetType="CREATE" if creates else "UPDATE",
                TemplateURL=self._upload(bundle, template),
                Capabilities=CAPABILITIES,
                Parameters=[
                    *({"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()),
                    *({"ParameterKey": name, "UsePreviousValue": True} for name in kept),
                ],
                # The emulator's look beforehand takes a bucket to be adopted for one in the way.
                **({"ImportExistingResources": True, "DisableValidation": self._emulated} if creates and adopt else {}),
            )
        except self._cloudformation.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            raise LocalError(f"CloudFormation refuses the stack: {error}") from error
        return self._proposed(Proposal(answer["Id"], creates, template))

    def execute(self, proposal: Proposal, tell: Callable[[Event], None] = lambda _event: None) -> None:
        """Carry the change set out and wait for its end; `tell` hears of each event as it comes.

        Raises:
            LocalError: it failed; the message holds the events that say why, and the way out.
        """
        events = self._events(self._stack_name)
        self._cloudformation.execute_change_set(ChangeSetName=proposal.id, StackName=self._stack_name)
        events.follow(tell)
        if self._emulated:
            age_rows(self._dynamodb, self._stack_name, proposal.template)

    def discard(self, proposal: Proposal) -> None:
        """Forget the change set, and the stack that it would have made."""
        self._cloudformation.delete_change_set(ChangeSetName=proposal.id, StackName=self._stack_name)
        if proposal.creates:
            self._cloudformation.delete_stack(StackName=self._stack_name)

    def delete(self, tell: Callable[[Event], None]) -> None:
        """Delete the stack and wait until it is gone; what it retains stays.

        Raises:
            LocalError: it failed; the message holds the events that say why.
        """
        stack = self._describe()
        if stack is None:
            return
        events = self._events(stack["StackId"])
        self._cloudformation.delete_stack(StackName=stack["StackId"])
        events.follow(tell)

    def outputs(self) -> dict[str, str]:
        """Return what the stack puts out, by name."""
        stack = self._describe() or {}
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def parameters(self) -> dict[str, str]:
        """Return the parameters that the stack has, by name; secret ones in asterisks."""
        stack = self._describe() or {}
        return {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])}

    def status(self) -> str | None:
        """Return the stack's status, or None where there is none."""
        stack = self._describe()
        return stack["StackStatus"] if stack else None

    def _describe(self) -> dict[str, Any] | None:
        try:
            stacks = self._cloudformation.describe_stacks(StackName=self._stack_name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return stacks[0] if stacks else None

    def _upload(self, bundle: Bundle, template: Template) -> str:
        """Put code and template where CloudFormation reads them: above 51,200 bytes it takes no body."""
        account = self._session.client("sts").get_caller_identity()["Account"]
        artifacts = Artifacts(self._s3, account, self._bucket)
        code = bundle.code.read_bytes()
        code_key = f"{hashlib.sha256(code).hexdigest()[:32]}.zip"
        artifacts.put(code_key, code)
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Serverless::Function":
                resource["Properties"]["CodeUri"] = f"s3://{artifacts.bucket}/{code_key}"
        content = json.dumps(template).encode()
        template_key = f"{hashlib.sha256(content).hexdigest()[:32]}.template.json"
        artifacts.put(template_key, content)
        return artifacts.url(template_key)

    def _refuse(self, taken: Sequence[str]) -> None:
        """Keep what is there: the emulator empties a table that a new stack names, AWS fails half-way."""
        if taken:
            raise LocalError(
                f"there is no stack {self._stack_name}, but tables and buckets of its name are: {', '.join(taken)}. "
                "Take them over (ADOPT=1 make deploy), delete them (WITH_DATA=1 make destroy), "
                "or choose another STACK_NAME."
            )

    def _refuse_state(self, status: str) -> None:
        name = self._stack_name
        if status.endswith("_IN_PROGRESS"):
            raise LocalError(f"the stack {name} is being changed ({status}); wait until that has ended")
        if status in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}:
            raise LocalError(
                f"the stack {name} is in {status} and takes no update: it never came to be, or was half deleted. "
                f"Delete it (make destroy), then deploy again; ADOPT=1 takes over the tables that stayed"
            )
        if status == "UPDATE_ROLLBACK_FAILED":
            raise LocalError(
                f"the stack {name} is in {status}; mend what its events name, then: "
                f"aws cloudformation continue-update-rollback --stack-name {name}"
            )

    def _proposed(self, proposal: Proposal) -> Proposal | None:
        deadline = time.monotonic() + PROPOSAL_SECONDS
        while True:
            paginator = self._cloudformation.get_paginator("describe_change_set")
            pages = list(paginator.paginate(ChangeSetName=proposal.id, StackName=self._stack_name))
            status = pages[0]["Status"]
            if not status.endswith(("_PENDING", "_IN_PROGRESS")):
                break
            if time.monotonic() > deadline:
                raise LocalError(f"the change set {proposal.id} is not ready after {PROPOSAL_SECONDS} s")
            time.sleep(self._poll_seconds)
        if status == "CREATE_COMPLETE":
            changes = [change["ResourceChange"] for page in pages for change in page["Changes"]]
            return replace(proposal, changes=changes)
        self.discard(proposal)
        reason = pages[0].get("StatusReason", status)
        if any(words in reason for words in _NOTHING_TO_DO):
            return None
        raise LocalError(f"CloudFormation refuses the change: {reason}")

    def _events(self, stack: str) -> StackEvents:
        return StackEvents(self._cloudformation, stack, poll_seconds=self._poll_seconds)
