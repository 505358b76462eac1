"""The environment of a stack's functions, as a host needs it: settings, and the names of what the stack made."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

OWN = {"MAILINGS_STARTED_BY": "clock"}
LEFT_OUT = frozenset({"TRACING"})  # X-Ray's segments are Lambda's


class NoEnvironmentError(Exception):
    """A value cannot be written as a line; the message names its variable."""


def environment_of(functions: "LambdaClient", stack_name: str) -> Mapping[str, str]:
    """Read what the stack's functions are told: all are told the same, and secrets are not among it.

    Raises:
        NoEnvironmentError: a value has more than one line.
    """
    configuration = functions.get_function_configuration(FunctionName=f"{stack_name}-api")
    told = {name: value for name, value in configuration["Environment"]["Variables"].items() if value} | OWN
    for name, value in told.items():
        if "\n" in value:
            raise NoEnvironmentError(f"{name} has more than one line")
    return {name: told[name] for name in sorted(told.keys() - LEFT_OUT)}
