"""The tables of a deployed stack, and what its template wants of each: read from CloudFormation, said nowhere twice."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from local_error import LocalError
from targets import Target

TABLE = "AWS::DynamoDB::Table"
_NOTHING = "AWS::NoValue"


@dataclass(frozen=True)
class StackTable:
    """A table of the stack.

    Attributes:
        short: its name without the stack's.
        wanted: its properties in the template, conditions and parameters resolved.
        tags: of the stack, which its tables have too.
    """

    name: str
    short: str
    wanted: Mapping[str, Any]
    tags: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class DeployedStack:
    """What CloudFormation knows of a stack: parameters as they were given, resources by type with their names."""

    name: str
    template: Mapping[str, Any]
    parameters: Mapping[str, str]
    tags: tuple[Mapping[str, str], ...]
    resources: Mapping[str, Mapping[str, str]]

    def of_type(self, kind: str) -> Mapping[str, str]:
        """Name the stack's resources of a type, by their logical ids."""
        return self.resources.get(kind, {})

    def tables(self) -> Iterator[StackTable]:
        """Yield its tables in order of name, whether they still exist or not."""
        for logical, name in sorted(self.of_type(TABLE).items(), key=lambda each: each[1]):
            wanted = self._resolved(self.template["Resources"][logical]["Properties"])
            yield StackTable(name, name.removeprefix(f"{self.name}-"), wanted, self.tags)

    def _resolved(self, part: Any) -> Any:  # noqa: ANN401 - any part of a template
        if isinstance(part, Mapping):
            if part.keys() == {"Ref"}:
                return self.parameters.get(part["Ref"], part)
            if part.keys() == {"Fn::If"}:
                condition, then, otherwise = part["Fn::If"]
                return self._resolved(then if self._holds(self.template["Conditions"][condition]) else otherwise)
            resolved = {key: self._resolved(value) for key, value in part.items()}
            return {key: value for key, value in resolved.items() if value != {"Ref": _NOTHING}}
        return [self._resolved(each) for each in part] if isinstance(part, list) else part

    def _holds(self, condition: Mapping[str, Any]) -> bool:
        """Evaluate a condition in the words that the template has for those of tables: Fn::Not and Fn::Equals."""
        if condition.keys() == {"Fn::Not"}:
            return not self._holds(condition["Fn::Not"][0])
        left, right = (str(self._resolved(side)) for side in condition["Fn::Equals"])
        return left == right


def deployed_stack(target: Target) -> DeployedStack:
    """Ask CloudFormation for the stack.

    Raises:
        LocalError: there is none of that name.
    """
    cloudformation, name = target.client("cloudformation"), target.stack_name
    try:
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        raise LocalError(f"there is no stack {name} at {cloudformation.meta.endpoint_url}: {error}") from error
    template = cloudformation.get_template(StackName=name, TemplateStage="Processed")["TemplateBody"]
    resources: dict[str, dict[str, str]] = {}
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=name):
        for each in page["StackResourceSummaries"]:
            if physical := each.get("PhysicalResourceId"):
                resources.setdefault(each["ResourceType"], {})[each["LogicalResourceId"]] = physical
    return DeployedStack(
        name=name,
        template=json.loads(template) if isinstance(template, str) else template,
        parameters={each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])},
        tags=tuple(stack.get("Tags", [])),
        resources=resources,
    )
