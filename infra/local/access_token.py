"""`make token`: an access token of the development issuer, for the stack that `make up` started."""

import argparse
import json
import sys
from pathlib import Path

import requests

from local_error import LocalError
from programs import read_issuer
from targets import STACK_FILE

CLIENT = "vestnik-development"
TIMEOUT_SECONDS = 10
_OK = 200


def fetch_token(issuer_url: str, folder: Path, scope: str | None = None) -> str:
    """Ask the development issuer of the stack in the folder for a token.

    Args:
        issuer_url: where it answers.
        folder: where its secret is.
        scope: scopes with spaces between; None: all of them.

    Raises:
        LocalError: it has none; the message says why.
    """
    issuer = read_issuer(folder)
    if issuer is None or issuer["address"] != issuer_url:
        raise LocalError(f"{issuer_url} is not the development issuer of {folder}; ask that one for tokens")
    asked = {"grant_type": "client_credentials"} | ({} if scope is None else {"scope": scope})
    with requests.Session() as session:
        session.trust_env = False  # no proxy stands between two programs on loopback
        try:
            answer = session.post(
                f"{issuer_url}/token", data=asked, auth=(CLIENT, issuer["client_secret"]), timeout=TIMEOUT_SECONDS
            )
            if answer.status_code != _OK and answer.json().get("error") == "invalid_scope":
                known = session.get(f"{issuer_url}/.well-known/openid-configuration", timeout=TIMEOUT_SECONDS).json()
                raise LocalError(f"no such scope in {scope!r}; there are: {' '.join(known['scopes_supported'])}")
        except requests.ConnectionError:
            raise LocalError(f"the issuer at {issuer_url} does not answer; start the stack with: make up") from None
    if answer.status_code != _OK:
        raise LocalError(f"the issuer at {issuer_url} answers {answer.status_code}: {answer.text}")
    return str(answer.json()["access_token"])


def main() -> int:
    """Print a token; 1 with a line that says why not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scope", help="scopes, with spaces between (default: all)")
    parser.add_argument("--stack", type=Path, default=STACK_FILE, help="the file that `make up` wrote")
    options = parser.parse_args()
    try:
        print(_token_for(options.stack, options.scope))
    except LocalError as error:
        print(f"make token: {error}", file=sys.stderr)
        return 1
    return 0


def _token_for(stack_file: Path, scope: str | None) -> str:
    if not stack_file.exists():
        raise LocalError(f"there is no {stack_file}; start the stack with: make up")
    return fetch_token(json.loads(stack_file.read_text())["issuer_url"], stack_file.parent, scope)


if __name__ == "__main__":
    sys.exit(main())
