"""What a run has consumed."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

DELIVERY = ("planner", "plan-segment", "sender")
"""The functions that a message passes, planner to outcome."""


@dataclass(frozen=True, slots=True)
class LambdaUse:
    """What the invocations of one function took.

    Attributes:
        billed_ms: of the wall clock.
        cpu_ms: of a processor, as far as the last call of AWS; a cold start counts with the first call after it.
        memory_mb: as configured; a Lambda function has the power of one processor at 1,769 MB.
        peak_memory_mb: the most that a worker has had.
    """

    invocations: int = 0
    billed_ms: int = 0
    cpu_ms: int = 0
    memory_mb: int = 0
    peak_memory_mb: int = 0


@dataclass(frozen=True, slots=True)
class Consumption:
    """What the functions of a stack consumed. Functions and tables by their names without the stack's.

    `calls` and `request_bytes` by function and `service.Operation`, units by table and function, `logged_bytes`
    by function, and of `assumed_writes`, how many had to be counted as dear as they can be (see `units.UnitMeter`).
    """

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    request_bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    read_units: dict[tuple[str, str], float] = field(default_factory=dict)
    write_units: dict[tuple[str, str], float] = field(default_factory=dict)
    assumed_writes: Counter[str] = field(default_factory=Counter)
    lambdas: dict[str, LambdaUse] = field(default_factory=dict)
    logged_bytes: Counter[str] = field(default_factory=Counter)

    def minus(self, before: "Consumption") -> "Consumption":
        """Return what was consumed since an earlier measurement; peaks of memory are those of now."""
        return Consumption(
            calls=self.calls - before.calls,
            request_bytes=self.request_bytes - before.request_bytes,
            read_units={key: units - before.read_units.get(key, 0) for key, units in self.read_units.items()},
            write_units={key: units - before.write_units.get(key, 0) for key, units in self.write_units.items()},
            assumed_writes=self.assumed_writes - before.assumed_writes,
            lambdas={name: _minus(use, before.lambdas.get(name, LambdaUse())) for name, use in self.lambdas.items()},
            logged_bytes=self.logged_bytes - before.logged_bytes,
        )

    def only(self, *functions: str) -> "Consumption":
        """Return the share of these functions."""
        return replace(
            self,
            calls=Counter({key: number for key, number in self.calls.items() if key[0] in functions}),
            request_bytes=Counter({key: number for key, number in self.request_bytes.items() if key[0] in functions}),
            read_units={key: units for key, units in self.read_units.items() if key[1] in functions},
            write_units={key: units for key, units in self.write_units.items() if key[1] in functions},
            lambdas={name: use for name, use in self.lambdas.items() if name in functions},
            assumed_writes=Counter({name: size for name, size in self.assumed_writes.items() if name in functions}),
            logged_bytes=Counter({name: size for name, size in self.logged_bytes.items() if name in functions}),
        )

    def calls_per_message(self, messages: int) -> float:
        """Return how many calls of AWS a message took, planner to outcome."""
        return self.only(*DELIVERY).calls.total() / messages

    def write_units_per_message(self, messages: int) -> float:
        """Return how many write units a message took, planner to outcome."""
        return sum(self.only(*DELIVERY).write_units.values()) / messages

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it: two names that make a key are parted by a space."""
        return {
            "calls": {" ".join(key): number for key, number in sorted(self.calls.items())},
            "request_bytes": {" ".join(key): number for key, number in sorted(self.request_bytes.items())},
            "read_units": {" ".join(key): units for key, units in sorted(self.read_units.items())},
            "write_units": {" ".join(key): units for key, units in sorted(self.write_units.items())},
            "assumed_writes": dict(self.assumed_writes),
            "lambdas": {
                name: {part: getattr(use, part) for part in LambdaUse.__slots__} for name, use in self.lambdas.items()
            },
            "logged_bytes": dict(self.logged_bytes),
        }


def _minus(use: LambdaUse, before: LambdaUse) -> LambdaUse:
    return replace(
        use,
        invocations=use.invocations - before.invocations,
        billed_ms=use.billed_ms - before.billed_ms,
        cpu_ms=use.cpu_ms - before.cpu_ms,
    )
