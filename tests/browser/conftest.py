import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.figures import table
from tests.browser.visits import Visits
from tests.browser.watched import PATIENCE_MS
from tests.e2e.conftest import on_host, shared_stacks, stack, start_stack
from tests.running_stack import RunningStack

__all__ = ["on_host", "shared_stacks", "stack", "start_stack"]

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the Chromium of this machine; without one, CI fails and others skip."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        missing = f"there is no {', '.join(NAMES[:-1])} or {NAMES[-1]} on the PATH"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    expect.set_options(timeout=PATIENCE_MS)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to make one for root
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=sandbox)
        yield started
        started.close()


@pytest.fixture(scope="session")
def visits(browser: Browser, stack: RunningStack) -> Visits:
    """The administrator's pages of the shared stack."""
    return Visits(browser, stack)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what each page weighs and what axe says of it."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    if lines := table(report.user_properties for report in reports if report.when == "call"):
        terminalreporter.section("pages")
        terminalreporter.write_line("\n".join(lines))
