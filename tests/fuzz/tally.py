"""What was done with each operation: a handler of Schemathesis's events counts it, into the file FUZZ_TALLY."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from schemathesis import cli
from schemathesis.engine import Status, events

SUCCESS = range(200, 300)


@dataclass
class Played:
    """One operation: its cases by the status that they were answered with, checks, and what these found.

    `failures` has cases by the check that failed; `allowed` counts what is no defect, by tests/fuzz/allowed.py.
    """

    answers: Counter[str] = field(default_factory=Counter)
    checks: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    allowed: int = 0

    @property
    def cases(self) -> int:
        """How many requests were made."""
        return self.answers.total()

    @property
    def accepted(self) -> int:
        """How many of them succeeded."""
        return sum(number for status, number in self.answers.items() if int(status) in SUCCESS)


@cli.handler()
class Tally(cli.EventHandler[cli.ExecutionContext]):
    """Listens to a run, and writes its counts down when it ends."""

    def __init__(self, *_: object, **__: object) -> None:
        self._played: defaultdict[str, Played] = defaultdict(Played)

    def handle_event(self, ctx: object, event: events.EngineEvent) -> None:  # noqa: ARG002 - as it is called
        """Count what a scenario did."""
        if not isinstance(event, events.ScenarioFinished):
            return
        recorder = event.recorder
        for case_id, interaction in recorder.interactions.items():
            played = self._played[recorder.cases[case_id].value.operation.label]
            played.answers[str(interaction.response.status_code) if interaction.response else "0"] += 1
            checks = recorder.checks.get(case_id, [])
            played.checks += len(checks)
            played.failures.update(check.name for check in checks if check.status is not Status.SUCCESS)
            played.allowed += recorder.filtered_failures.get(case_id, 0)

    def shutdown(self, ctx: object) -> None:  # noqa: ARG002 - as it is called
        """Write the counts down."""
        counts = {label: vars(played) for label, played in self._played.items()}
        Path(os.environ["FUZZ_TALLY"]).write_text(json.dumps(counts))


def read_tally(file: Path) -> Mapping[str, Played]:
    """Read what was counted, by operation (`GET /clients`)."""
    return {
        label: Played(Counter(counts["answers"]), counts["checks"], Counter(counts["failures"]), counts["allowed"])
        for label, counts in json.loads(file.read_text()).items()
    }


def table(tally: Mapping[str, Played]) -> Iterable[str]:
    """Show it, a line each operation."""
    yield f"{'operation':<42} {'cases':>6} {'accepted':>8} {'checks':>7} {'allowed':>7} {'failures':>8}"
    total = Played()
    for label, played in sorted(tally.items(), key=lambda item: item[0].split()[::-1]):
        yield _line(label, played)
        total.answers.update(played.answers)
        total.failures.update(played.failures)
        total.checks += played.checks
        total.allowed += played.allowed
    yield _line("all", total)


def _line(label: str, played: Played) -> str:
    return (
        f"{label:<42} {played.cases:>6} {played.accepted:>8} {played.checks:>7} {played.allowed:>7} "
        f"{played.failures.total():>8}"
    )
