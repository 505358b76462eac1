import os

import pytest
from hypothesis import settings

# `make test` takes the first, which finds today what it found yesterday. `HYPOTHESIS_PROFILE=long make test` looks
# further, each time elsewhere, for as long as an hour.
settings.register_profile("bounded", deadline=None, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "bounded"))

# Two processes share the tests, a module at a time: what is begun last should not be what takes longest.
LONGEST_FIRST = ("e2e/test_fuzz.py", "e2e/", "browser/", "faults/", "bench/", "integration/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the modules that take longest first."""
    items.sort(key=lambda item: next((n for n, part in enumerate(LONGEST_FIRST) if part in str(item.path)), 99))
