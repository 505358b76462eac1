"""What Lambda tells a function about the call at hand."""

import os
import time
from dataclasses import dataclass
from uuid import uuid4

from infra.host.functions import Function


@dataclass(frozen=True, slots=True)
class Context:
    """The context of a call; `deadline` is by the monotonic clock, in seconds."""

    function_name: str
    invoked_function_arn: str
    memory_limit_in_mb: str
    aws_request_id: str
    log_group_name: str
    deadline: float
    function_version: str = "$LATEST"

    @classmethod
    def begin(cls, function: Function) -> "Context":
        """Let a call of the function begin: its name and ARN are those that its Lambda has."""
        planner_arn = os.environ["PLANNER_ARN"]
        name = f"{os.environ['TABLE_PREFIX']}-{function.name}"
        return cls(
            name,
            f"{planner_arn.rpartition(':')[0]}:{name}",
            str(function.memory_mb),
            str(uuid4()),
            log_group(function.name),
            time.monotonic() + function.timeout_seconds,
        )

    def get_remaining_time_in_millis(self) -> int:
        """Tell how long the call may still take."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


def log_group(name: str) -> str:
    """Name the log group of a function."""
    return f"/aws/lambda/{os.environ['TABLE_PREFIX']}-{name}"
