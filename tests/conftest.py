import os

import pytest
from hypothesis import settings

# `make test` takes the first, which finds today what it found yesterday. `HYPOTHESIS_PROFILE=long make test` looks
# further, each time elsewhere, for as long as an hour.
settings.register_profile("bounded", deadline=None, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "bounded"))

# What these run of the application runs in other processes, where nothing traces it, or is run by unit and integration
# tests too: to trace the calls of these takes a third of their time.
UNTRACED = tuple(f"tests/{folder}/" for folder in ("e2e", "browser", "faults", "bench", "fuzz"))

# Processes share the tests, a module at a time: what is begun last should not be what takes longest, and what mostly
# waits should have beside it what mostly computes.
LONGEST_FIRST = (
    "e2e/test_delivery.py",
    "e2e/test_fuzz.py",
    "e2e/test_provider_gate.py",
    "e2e/test_controls.py",
    "browser/test_every_page.py",
    "e2e/test_runbooks.py",
    "faults/test_call_sites.py",
    "e2e/",
    "faults/",
    "browser/",
    "bench/",
    "unit/test_stateful.py",
    "integration/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the modules that take longest first; trace those alone that say something by it."""
    for item in items:
        if any(folder in str(item.path) for folder in UNTRACED):
            item.add_marker(pytest.mark.no_cover)
    items.sort(key=lambda item: next((n for n, part in enumerate(LONGEST_FIRST) if part in str(item.path)), 99))
