"""Stop a stack: nothing calls its functions, nobody can; and start it again."""

from collections.abc import Iterator
from typing import Any

from stack_tables import DeployedStack
from targets import Target


class Triggers:
    """What calls the functions of a stack: queues, rules, and whoever else may."""

    def __init__(self, target: Target, stack: DeployedStack) -> None:
        self._lambda = target.client("lambda")
        self._events = target.client("events")
        self._stack = stack

    def stop(self) -> None:
        """Stop all that calls, and have whoever calls all the same (the API's users, schedules) be refused.

        Tickets wait in their queues; schedules go to their dead-letter queue after a day, and the dispatcher starts
        what they did not. Repeating it changes nothing.
        """
        for mapping in self._mappings():
            self._lambda.update_event_source_mapping(UUID=mapping, Enabled=False)
        for rule in self._rules():
            self._events.disable_rule(Name=rule)
        for function in self._functions():
            self._lambda.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)

    def start(self) -> bool:
        """Undo that; returns False where the stack's parameter `Triggers` says that somebody else does the work."""
        for function in self._functions():
            self._lambda.delete_function_concurrency(FunctionName=function)
        if self._stack.parameters.get("Triggers") == "false":
            return False
        for rule in self._rules():
            self._events.enable_rule(Name=rule)
        for mapping in self._mappings():
            self._lambda.update_event_source_mapping(UUID=mapping, Enabled=True)
        return True

    def _functions(self) -> Iterator[str]:
        yield from self._stack.of_type("AWS::Lambda::Function").values()

    def _rules(self) -> Iterator[str]:
        for name in self._stack.of_type("AWS::Events::Rule").values():
            yield name.rpartition("|")[2]  # CloudFormation puts a custom bus before it

    def _mappings(self) -> Iterator[Any]:
        yield from self._stack.of_type("AWS::Lambda::EventSourceMapping").values()
