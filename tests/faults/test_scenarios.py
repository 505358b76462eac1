"""The short version of `make faults`: the scenarios that are marked short, with a small crowd."""

from collections.abc import Iterator

import pytest

from tests.faults.ground import Ground, prepared_ground
from tests.faults.scenarios import SCENARIOS, Scenario

SHORT = [scenario for scenario in SCENARIOS if scenario.short]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with prepared_ground(tmp_path_factory.mktemp("faults"), crowd=80, say=print, seed=1) as made:
        yield made


@pytest.mark.parametrize("scenario", SHORT, ids=[scenario.name for scenario in SHORT])
def test_every_promise_is_kept(ground: Ground, scenario: Scenario) -> None:
    found = scenario.play(ground)
    assert found.kept, found.findings
    assert found.faults > 0


def test_there_is_something_to_play() -> None:
    assert SHORT


def test_every_scenario_has_a_name_of_its_own() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
