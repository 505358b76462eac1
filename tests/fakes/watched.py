"""Fakes that somebody stands beside: to kill, to fail, or to look, before or after a call."""

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar, cast

Target = TypeVar("Target")


class Killed(BaseException):
    """The process ended here; nothing of ours catches it."""


class Moment(Enum):
    """When, as seen from a call."""

    BEFORE = "before"
    AFTER = "after"


Hook = Callable[[Moment, str], None]


def watched(target: Target, hook: Hook, *methods: str) -> Target:
    """Stand before `target`: the hook is called before and after each call of the named methods."""
    return cast("Target", _Watched(target, hook, frozenset(methods)))


class _Watched:
    def __init__(self, target: object, hook: Hook, methods: frozenset[str]) -> None:
        missing = [name for name in methods if not callable(getattr(target, name, None))]
        if missing:
            raise TypeError(f"{target!r} has no methods {missing}")
        self._target = target
        self._hook = hook
        self._methods = methods

    def __getattr__(self, name: str) -> object:
        attribute: Any = getattr(self._target, name)
        if name not in self._methods:
            return attribute

        def call(*args: object, **kwargs: object) -> object:
            self._hook(Moment.BEFORE, name)
            result: object = attribute(*args, **kwargs)
            self._hook(Moment.AFTER, name)
            return result

        return call


class KillSwitch:
    """A hook that kills at the n-th call it sees, before or after it; `n` 0 never kills. `calls` tells how many."""

    def __init__(self, n: int = 0, moment: Moment = Moment.BEFORE) -> None:
        self.calls = 0
        self._n = n
        self._moment = moment

    def __call__(self, moment: Moment, name: str) -> None:
        self.calls += moment is Moment.BEFORE
        if moment is self._moment and self.calls == self._n:
            raise Killed(f"{moment.value} {name}, call {self.calls}")


def failing(error: Exception, *, times: int = 1, moment: Moment = Moment.BEFORE) -> Hook:
    """Make a hook that raises the error at the first calls, and then no more."""
    left = times

    def hook(at: Moment, _name: str) -> None:
        nonlocal left
        if at is moment and left:
            left -= 1
            raise error

    return hook
