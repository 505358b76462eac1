"""What an emulator needs beside CloudFormation's own words."""

from collections.abc import Mapping
from typing import Any

from leftovers import table_name

Template = dict[str, Any]


def with_values(template: Template, parameters: Mapping[str, str]) -> Template:
    """Put parameters in as the numbers and truths that they are: the emulator leaves them strings, and stumbles."""
    values: dict[str, int | bool] = {}
    for name, declared in template["Parameters"].items():
        value = parameters.get(name, declared.get("Default"))
        if declared["Type"] == "Number":
            values[name] = int(value)
        elif declared.get("AllowedValues") == ["true", "false"]:
            values[name] = value == "true"
    return {**template, "Resources": _replaced(template["Resources"], values)}


def age_rows(dynamodb: Any, stack_name: str, template: Template) -> None:  # noqa: ANN401 - boto3's clients are made at run time
    """Switch TTL on: the emulator reads past it in a template."""
    for resource in template["Resources"].values():
        wanted = resource["Properties"].get("TimeToLiveSpecification")
        if wanted:
            name = table_name(resource, stack_name)
            if not _ages(dynamodb, name):
                dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)


def _ages(dynamodb: Any, table: str) -> bool:  # noqa: ANN401 - as above
    state = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    return bool(state["TimeToLiveStatus"] in {"ENABLED", "ENABLING"})


def _replaced(part: Any, values: Mapping[str, int | bool]) -> Any:  # noqa: ANN401 - any part of a template
    if isinstance(part, dict):
        if part.keys() == {"Ref"} and part["Ref"] in values:
            return values[part["Ref"]]
        return {key: _replaced(value, values) for key, value in part.items()}
    if isinstance(part, list):
        return [_replaced(value, values) for value in part]
    return part
