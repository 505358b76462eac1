"""CloudFormation: a bundle and its parameters become a stack, or change one."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from botocore.exceptions import ClientError

from bundle import Bundle
from local_error import LocalError

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
POLL_SECONDS = 0.2
DEADLINE_SECONDS = 600


class Session(Protocol):
    """Makes clients: a local session, or boto3's own."""

    def client(self, service: str, /) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Make a client of the service."""


class Deployment:
    """One stack, by its name."""

    def __init__(self, session: Session, stack_name: str) -> None:
        self._cloudformation = session.client("cloudformation")
        self._dynamodb = session.client("dynamodb")
        self._s3 = session.client("s3")
        self._stack_name = stack_name

    def apply(self, bundle: Bundle, parameters: Mapping[str, str]) -> dict[str, str]:
        """Create the stack or update it in place, wait for it, and return its outputs.

        Raises:
            LocalError: the stack failed; the message holds the events that say why.
        """
        template = json.loads(bundle.template.read_text())
        template["Resources"] = _with_numbers(template["Resources"], _numbers(template, parameters))
        request = {
            "StackName": self._stack_name,
            "TemplateURL": self._upload(bundle, template),
            "Capabilities": CAPABILITIES,
            "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        }
        began = time.time()
        try:
            if self._describe() is None:
                self._refuse_what_exists(template)
                self._cloudformation.create_stack(**request)
            else:
                self._update(request)
        except ClientError as error:
            raise LocalError(f"CloudFormation refuses the stack: {error}") from error
        self._wait(began)
        self._age_rows(template)
        return self.outputs()

    def outputs(self) -> dict[str, str]:
        """Return what the stack puts out, by name."""
        stack = self._describe() or {}
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def _describe(self) -> dict[str, Any] | None:
        try:
            stacks = self._cloudformation.describe_stacks(StackName=self._stack_name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return stacks[0] if stacks else None

    def _upload(self, bundle: Bundle, template: dict[str, Any]) -> str:
        """Put code and template where CloudFormation reads them: above 51,200 bytes it takes no body."""
        bucket = f"{self._stack_name}-artifacts"
        self._s3.create_bucket(Bucket=bucket)
        code_key = f"{bundle.digest}.zip"
        self._s3.upload_file(str(bundle.code), bucket, code_key)
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Serverless::Function":
                resource["Properties"]["CodeUri"] = f"s3://{bucket}/{code_key}"
        template_key = f"{bundle.digest}.template.json"
        self._s3.put_object(Bucket=bucket, Key=template_key, Body=json.dumps(template).encode())
        return f"{self._s3.meta.endpoint_url}/{bucket}/{template_key}"

    def _refuse_what_exists(self, template: dict[str, Any]) -> None:
        """Keep what is there: the emulator empties a table that a new stack names, AWS fails half-way.

        Buckets are told by the beginning of their names, the stack's; the rest of them is account and region.
        """
        names = {name.replace("${AWS::StackName}", self._stack_name) for name in _table_names(template)}
        pages = self._dynamodb.get_paginator("list_tables").paginate()
        taken = sorted(names.intersection(name for page in pages for name in page["TableNames"]))
        beginning = f"{self._stack_name}-imports-"
        taken += [
            bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"] if bucket["Name"].startswith(beginning)
        ]
        if taken:
            raise LocalError(
                f"there is no stack {self._stack_name}, but tables and buckets of its name are: {', '.join(taken)}. "
                "Delete or import them, or choose another STACK_NAME."
            )

    def _update(self, request: dict[str, Any]) -> None:
        try:
            self._cloudformation.update_stack(**request)
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise

    def _wait(self, began: float) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            stack = self._describe()
            status = stack["StackStatus"] if stack else "gone"
            if status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
                return
            if not status.endswith("_IN_PROGRESS"):
                raise LocalError(f"the stack ended in {status}:\n{self._failures(began)}")
            time.sleep(POLL_SECONDS)
        raise LocalError(f"the stack is not ready after {DEADLINE_SECONDS} s")

    def _failures(self, began: float) -> str:
        events = self._cloudformation.describe_stack_events(StackName=self._stack_name)["StackEvents"]
        failed = (
            event
            for event in reversed(events)
            if event["ResourceStatus"].endswith("FAILED") and event["Timestamp"].timestamp() >= began - 1
        )
        return "\n".join(
            f"  {event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', '?')}"
            for event in failed
        )

    def _age_rows(self, template: dict[str, Any]) -> None:
        """Switch TTL on: the emulator reads past it in a template."""
        for table in _tables(template):
            wanted = table.get("TimeToLiveSpecification")
            name = table["TableName"]["Fn::Sub"].replace("${AWS::StackName}", self._stack_name)
            if wanted and not self._ages(name):
                self._dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)

    def _ages(self, table: str) -> bool:
        state = self._dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        return bool(state["TimeToLiveStatus"] in {"ENABLED", "ENABLING"})


def _tables(template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::DynamoDB::Table":
            yield resource["Properties"]


def _table_names(template: dict[str, Any]) -> Iterator[str]:
    for table in _tables(template):
        yield table["TableName"]["Fn::Sub"]


def _numbers(template: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, int]:
    return {
        name: int(parameters.get(name, declared.get("Default")))
        for name, declared in template["Parameters"].items()
        if declared["Type"] == "Number"
    }


def _with_numbers(part: Any, numbers: Mapping[str, int]) -> Any:  # noqa: ANN401 - any part of a template
    """Put number parameters in as numbers: the emulator leaves them strings, and stumbles over its own."""
    if isinstance(part, dict):
        if part.keys() == {"Ref"} and part["Ref"] in numbers:
            return numbers[part["Ref"]]
        return {key: _with_numbers(value, numbers) for key, value in part.items()}
    if isinstance(part, list):
        return [_with_numbers(value, numbers) for value in part]
    return part
