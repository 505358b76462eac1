"""What the template says of each function: its time and memory, the queues and schedules that call it."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).resolve().parents[1] / "template.yaml"

Part = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """A queue that calls a function.

    Attributes:
        url_variable: which of the settings has its address.
        batch_size: how many tickets a call gets at most.
        concurrency: how many calls there are at once at most: the template's parameter, by the default that it has
            there or by a variable of its name, as SENDER_CONCURRENCY.
    """

    url_variable: str
    batch_size: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class Function:
    """A function as the template declares it: `handler` is its name in app.py, `name` the end of its name on AWS."""

    name: str
    handler: str
    timeout_seconds: int
    memory_mb: int
    sources: Sequence[Source]
    schedules: Sequence[str]


@cache
def functions() -> Mapping[str, Function]:
    """Read all functions, by name."""
    template = yaml.load(TEMPLATE.read_text(), _Loader)  # noqa: S506 - a SafeLoader that knows CloudFormation's tags
    declared = [part["Properties"] for part in template["Resources"].values() if "Type" not in part]
    read = (_function(template, properties) for properties in declared if "FunctionName" in properties)
    return {function.name: function for function in read}


def _function(template: Part, properties: Part) -> Function:
    name = properties["FunctionName"]["Fn::Sub"].removeprefix("${AWS::StackName}-")
    handler = "app" if name == "api" else name.replace("-", "_")
    events = properties.get("Events", {}).values()
    return Function(
        name,
        handler,
        properties["Timeout"],
        properties["MemorySize"],
        [_source(template, event["Properties"]) for event in events if "Queue" in event["Properties"]],
        [event["Properties"]["Schedule"] for event in events if "Schedule" in event["Properties"]],
    )


def _source(template: Part, properties: Part) -> Source:
    queue = {"Ref": properties["Queue"]["Fn::GetAtt"].removesuffix(".Arn")}
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    (url_variable,) = (name for name, value in variables.items() if value == queue)
    parameter = properties["ScalingConfig"]["MaximumConcurrency"]["Ref"]
    given = os.environ.get(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parameter).upper())
    return Source(url_variable, properties["BatchSize"], int(given or template["Parameters"][parameter]["Default"]))


class _Loader(yaml.SafeLoader):
    """Reads `!Ref X` as {"Ref": "X"}, and any other tag as {"Fn::Tag": …}."""


def _tagged(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)  # noqa: S101 - there are three kinds of nodes
        value = loader.construct_mapping(node, deep=True)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _tagged)


def with_queues() -> Iterator[Function]:
    """Yield the functions that queues call."""
    return (function for function in functions().values() if function.sources)


def with_schedules() -> Iterator[Function]:
    """Yield the functions that schedules call."""
    return (function for function in functions().values() if function.schedules)
