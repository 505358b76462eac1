"""What an emulator needs beside CloudFormation's own words."""

from collections.abc import Mapping
from typing import Any

Template = dict[str, Any]


def with_numbers(template: Template, parameters: Mapping[str, str]) -> Template:
    """Put number parameters in as numbers: the emulator leaves them strings, and stumbles over its own."""
    numbers = {
        name: int(parameters.get(name, declared.get("Default")))
        for name, declared in template["Parameters"].items()
        if declared["Type"] == "Number"
    }
    return {**template, "Resources": _replaced(template["Resources"], numbers)}


def age_rows(dynamodb: Any, stack_name: str, template: Template) -> None:  # noqa: ANN401 - boto3's clients are made at run time
    """Switch TTL on: the emulator reads past it in a template."""
    for resource in template["Resources"].values():
        wanted = resource["Properties"].get("TimeToLiveSpecification")
        if wanted:
            name = resource["Properties"]["TableName"]["Fn::Sub"].replace("${AWS::StackName}", stack_name)
            if not _ages(dynamodb, name):
                dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)


def _ages(dynamodb: Any, table: str) -> bool:  # noqa: ANN401 - as above
    state = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    return bool(state["TimeToLiveStatus"] in {"ENABLED", "ENABLING"})


def _replaced(part: Any, numbers: Mapping[str, int]) -> Any:  # noqa: ANN401 - any part of a template
    if isinstance(part, dict):
        if part.keys() == {"Ref"} and part["Ref"] in numbers:
            return numbers[part["Ref"]]
        return {key: _replaced(value, numbers) for key, value in part.items()}
    if isinstance(part, list):
        return [_replaced(value, numbers) for value in part]
    return part
