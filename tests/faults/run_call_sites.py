"""An error at every call of AWS, before and after it took effect: `python -m tests.faults.run_call_sites`.

Each scenario is run once to see which sites it comes to. Then, for each use of a site and each way in which its
operation can fail, the shortest scenario that comes to it is run with that fault, and everything is audited: no row
lost or open, nothing sent twice, no drift between counters and rows, the mailing over, no error but a 503 at the API.
Last come storms: faults of any kind at any calls, several in each run of a scenario.
"""

import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from itertools import chain
from random import Random

from tests.faults.call_sites import Site, Use, find_sites
from tests.faults.injected_faults import Fault, Faults, Kind, Storm, kinds_for
from tests.faults.sandbox import Sandbox, sandbox
from tests.faults.sensible_user import User
from tests.faults.site_scenarios import SCENARIOS, Scenario

STORMS = 10
# A site that no scenario can come to, with the reason.
UNREACHABLE: Mapping[Site, str] = {}


@dataclass(frozen=True, slots=True)
class Case:
    """One fault at one use, in the scenario that comes to it."""

    use: Use
    kind: Kind
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case, or of a storm.

    Attributes:
        what: the columns of the table that say what was done.
        findings: which promises were broken; none if all were kept.
        log: of the application, where one was broken.
    """

    what: tuple[str, str, str, str]
    findings: tuple[str, ...]
    seconds: float
    log: str = ""

    @property
    def kept(self) -> bool:
        """Tell whether every promise was kept."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class Recording:
    """What a run of all scenarios without a fault came to: the shortest scenario of each use, and its service."""

    uses: Mapping[Use, tuple[Scenario, str]]
    findings: tuple[str, ...]

    @property
    def hit(self) -> set[Site]:
        """List the sites that were come to."""
        return {use.site for use in self.uses}

    def cases(self) -> Iterator[Case]:
        """List the full product: each use with each way to fail."""
        for use, (scenario, service) in sorted(self.uses.items()):
            for kind in kinds_for(use.site.operation, service):
                yield Case(use, kind, scenario)

    def sample(self) -> Iterator[Case]:
        """List a case for each site: its uses and ways to fail take turns from site to site."""
        of_sites: dict[Site, list[Case]] = {}
        for case in self.cases():
            of_sites.setdefault(case.use.site, []).append(case)
        for turn, cases in enumerate(of_sites.values()):
            yield cases[turn * 3 % len(cases)]


def record(on: Sandbox, scenarios: Sequence[Scenario] = SCENARIOS) -> Recording:
    """Run all scenarios without a fault."""
    seen: dict[Use, tuple[int, Scenario, str]] = {}
    findings: list[str] = []
    for scenario in scenarios:
        findings += (f"{scenario.__name__} without a fault: {found}" for found in play(on, scenario))
        calls = on.wire.uses.total()
        for use, service in on.wire.uses:
            if use not in seen or calls < seen[use][0]:
                seen[use] = calls, scenario, service
    return Recording({use: (scenario, service) for use, (_, scenario, service) in seen.items()}, tuple(findings))


def play(on: Sandbox, scenario: Scenario, faults: Faults | None = None) -> list[str]:
    """Run a scenario, with faults or without; returns which promises were broken."""
    with on.deployment() as deployment, redirect_stdout(on.log):  # metrics are printed
        on.wire.faults = faults
        try:
            audits = scenario(User(deployment))
        except AssertionError as error:
            findings = [f"{scenario.__name__}: {error or 'not as expected'}"]
        except Exception as error:  # noqa: BLE001 - whatever a scenario meets with is its finding, and others go on
            findings = [f"{scenario.__name__}: {error!r} at {traceback.extract_tb(error.__traceback__)[-1]}"]
        else:
            findings = [found for audit in audits for found in audit.findings]
        return findings + [f"not translated: {error!r}" for error in deployment.errors]


def run(on: Sandbox, cases: Iterable[Case]) -> Iterator[Result]:
    """Run cases, one after the other."""
    for case in cases:
        fault = Fault(case.use, case.kind)
        what = (str(case.use.site), case.use.caller, case.kind.when, case.kind.name)
        result = _timed(on, what, case.scenario, fault)
        missed = () if fault.struck else ("the fault was never reached",)
        yield replace(result, findings=result.findings + missed)


def brew(on: Sandbox, seeds: Iterable[int], scenarios: Sequence[Scenario] = SCENARIOS) -> Iterator[Result]:
    """Run each scenario in a storm of each seed."""
    for seed in seeds:
        for scenario in scenarios:
            storm = Storm(Random(seed))  # noqa: S311 - chance that repeats itself
            result = _timed(on, (f"storm {seed}", scenario.__name__, "both", "any"), scenario, storm)
            yield replace(result, log="\n".join([*storm.struck, result.log])) if result.findings else result


def _timed(on: Sandbox, what: tuple[str, str, str, str], scenario: Scenario, faults: Faults) -> Result:
    started = time.monotonic()
    findings = tuple(play(on, scenario, faults))
    return Result(what, findings, time.monotonic() - started, on.log.getvalue() if findings else "")


def uncovered(recording: Recording) -> list[str]:
    """Say what keeps the product from being full: sites never hit, and calls that the finder does not know."""
    found = find_sites()
    never = sorted(found - recording.hit - UNREACHABLE.keys())
    unknown = sorted(recording.hit - found)
    needless = sorted(UNREACHABLE.keys() & recording.hit)
    return [
        *(f"{site} ({site.file}): no scenario comes to it" for site in never),
        *(f"{site} ({site.file}): called, but the finder does not see it" for site in unknown),
        *(f"{site} ({site.file}): said to be unreachable, and hit" for site in needless),
    ]


def run_call_sites(tell: Callable[[Result], None] = lambda _result: None) -> list[Result]:
    """Run the full product, and storms; `tell` hears of each result as it comes.

    Raises:
        RuntimeError: a site is never hit or not known, or a scenario does not hold even without a fault.
    """
    with sandbox() as on:
        recording = record(on)
        if wrong := [*recording.findings, *uncovered(recording)]:
            raise RuntimeError("\n".join(wrong))
        results = []
        for result in chain(run(on, recording.cases()), brew(on, range(STORMS))):
            tell(result)
            results.append(result)
        return results


def main() -> int:
    """Write the table as it grows; returns the exit status."""
    head = _row("call of AWS", "led there by", "when", "error", "s", "result")
    _say(head, "-" * len(head))
    results = run_call_sites(_tell)
    broken = sum(not result.kept for result in results)
    _say(f"{len(results)} runs at {len(find_sites())} call sites: {len(results) - broken} kept, {broken} broken")
    return 1 if broken else 0


def _tell(result: Result) -> None:
    came = "kept" if result.kept else "; ".join(result.findings)
    _say(_row(*result.what, f"{result.seconds:.1f}", came))
    sys.stderr.write(result.log)


def _row(call: str, caller: str, when: str, error: str, seconds: str, came: str) -> str:
    return f"{call:<57} {caller:<29} {when:<6} {error:<27} {seconds:>4}  {came}"


def _say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
