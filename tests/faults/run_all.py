"""`make faults`: plays the three parts of the suite one after the other, and says in the end whether all held."""

import sys

from tests.faults import __main__ as scenarios
from tests.faults import measure, run_call_sites

PARTS = {
    "Scenarios on the packaged application": scenarios.main,
    "An error at every call of AWS": run_call_sites.main,
    "Outages, and a provider that hangs": measure.main,
}


def main() -> int:
    """Run all parts, whatever comes of each."""
    broken = []
    for title, part in PARTS.items():
        sys.stdout.write(f"\n== {title}\n\n")
        sys.stdout.flush()
        if part():
            broken.append(title)
    sys.stdout.write(f"\n{'BROKEN: ' + ', '.join(broken) if broken else 'every promise was kept'}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
