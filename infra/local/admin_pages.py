"""`make admin`: where the administrator's pages are, and who may log in there."""

import argparse
import json
import os
import sys
import webbrowser
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[2]))  # run by its path, this program finds its own folder only

from local_issuer.people import USERS
from programs import read_issuer
from targets import STACK_FILE


def main() -> int:
    """Print the address and the users, and open a browser if there is a display; 1 if there is no stack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", type=Path, default=STACK_FILE, help="the file that `make up` wrote")
    file = parser.parse_args().stack
    if not file.exists():
        print(f"make admin: there is no {file}; start the stack with: make up", file=sys.stderr)
        return 1
    stack = json.loads(file.read_text())
    print(stack["admin_url"])
    issuer = read_issuer(file.parent)
    if issuer is not None and issuer["address"] == stack["issuer_url"]:
        for user in USERS.values():
            print(f"  {user.id:<8} password {user.id:<8} role {' '.join(user.roles):<8} {user.name}")
    else:
        print(f"  users log in at {stack['issuer_url']}")
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(stack["admin_url"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
