"""Schemathesis against the packaged application; `make fuzz` plays longer, each time elsewhere."""

from pathlib import Path

import pytest

from tests.e2e.conftest import StartStack
from tests.fuzz.play import play
from tests.fuzz.tally import table

CASES = 100
SEED = 20261123


@pytest.mark.of_lambda("it takes minutes, and is about the application")
@pytest.mark.timeout(900)
def test_the_api_keeps_to_its_document_whatever_it_is_asked(start_stack: StartStack, tmp_path: Path) -> None:
    stack = start_stack(emulator={"AUTH": "true"})  # of its own: what is made up is sent to everybody
    operations = {
        f"{method.upper()} {path}"
        for path, methods in stack.request("GET", "/openapi.json").json()["paths"].items()
        for method in methods
    }
    game = play(stack, tmp_path, cases=CASES, seed=SEED)
    stack.close()
    assert game.passed, "\n".join((game.said, *table(game.tally)))
    assert {operation for operation, played in game.tally.items() if played.accepted} >= operations
