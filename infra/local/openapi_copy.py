"""`make openapi` writes docs/openapi.json; `make check` compares it with what the code declares."""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT))  # run by its path, this program finds its own folder only

from chalicelib.api import OPERATIONS  # noqa: E402 - these need the line above
from chalicelib.api.openapi import document  # noqa: E402

COPY = ROOT / "docs" / "openapi.json"


def generated() -> str:
    """Return what the copy should hold."""
    return json.dumps(document(OPERATIONS), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the copy, or compare it; 0 when it is as it should be, 1 with a line that says what to do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    if not parser.parse_args().check:
        COPY.write_text(generated(), encoding="utf-8")
    elif not COPY.exists() or COPY.read_text(encoding="utf-8") != generated():
        print("docs/openapi.json is not what the code declares; write it with: make openapi", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
