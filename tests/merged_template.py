"""Ways to look at the merged template."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Part = dict[str, Any]


def of_type(template: Part, kind: str) -> dict[str, Part]:
    """Return the properties of each resource of a type, by its logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def functions(template: Part) -> dict[str, Part]:
    return of_type(template, "AWS::Serverless::Function")


def queue_sources(template: Part) -> Iterator[tuple[str, str, Part]]:
    """Yield function, queue and properties of each queue that calls a function."""
    for name, function in functions(template).items():
        for event in function.get("Events", {}).values():
            if event["Type"] == "SQS":
                queue, attribute = event["Properties"]["Queue"]["Fn::GetAtt"]
                assert attribute == "Arn"
                yield name, queue, event["Properties"]


def maps_in(part: object) -> Iterator[Part]:
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from maps_in(value)
    elif isinstance(part, list):
        for value in part:
            yield from maps_in(value)


def written_out(part: object, names: Mapping[str, str]) -> Any:  # noqa: ANN401 - a part of a template
    """Put names in the places of intrinsic functions: of parameters, resources, `Resource.Attribute`.

    No condition holds.
    """
    written: object = part
    match part:
        case {"Ref": str(name)}:
            written = names[name]
        case {"Fn::GetAtt": [resource, attribute]}:
            written = names[f"{resource}.{attribute}"]
        case {"Fn::Sub": [str(text), _]} | {"Fn::Sub": str(text)}:
            written = re.sub(r"\$\{([^}]+)\}", lambda found: names[found[1]], text)
        case {"Fn::If": [_, _, otherwise]}:
            written = written_out(otherwise, names)
        case dict():
            written = {name: written_out(value, names) for name, value in part.items()}
        case list():
            written = [written_out(value, names) for value in part]
    return written
