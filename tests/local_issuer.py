"""The development issuer as a process of its own."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

PROGRAM = Path(__file__).parents[1] / "infra" / "local" / "development_issuer.py"
CALLBACK = "http://127.0.0.1:9/callback"
VERIFIER = "a-verifier-of-more-than-forty-three-characters-for-pkce"
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class RunningIssuer:
    """An issuer that answers at `url`."""

    url: str
    memory: Path
    process: "subprocess.Popen[str]"

    @property
    def secret(self) -> str:
        return str(json.loads(self.memory.read_text())["client_secret"])

    def get(self, path: str) -> dict[str, Any]:
        answer = requests.get(self.url + path, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        content: dict[str, Any] = answer.json()
        return content

    def ask(self, asked: Mapping[str, str], auth: tuple[str, str] | None = None) -> requests.Response:
        """Ask for a token."""
        return requests.post(f"{self.url}/token", data=asked, auth=auth, timeout=TIMEOUT_SECONDS)

    def token(self, **asked: str) -> str:
        """Get a token for the development client."""
        auth = ("vestnik-development", self.secret)
        answer = self.ask({"grant_type": "client_credentials", **asked}, auth)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@contextmanager
def running_issuer(memory: Path, *options: str) -> Iterator[RunningIssuer]:
    """Run an issuer while the block runs."""
    command = [sys.executable, str(PROGRAM), "--memory", str(memory), *options]
    log = memory.with_suffix(".log")
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        ) as process,
    ):
        try:
            line = process.stdout.readline() if process.stdout else ""
            told = re.fullmatch(r"development issuer at (\S+)\n", line)
            assert told, (line, log.read_text())
            yield RunningIssuer(told[1], memory, process)
        finally:
            process.terminate()
            process.wait(TIMEOUT_SECONDS)


def authorization(scope: str, **others: str) -> Mapping[str, str]:
    """Make the query by which a page sends a user to log in."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
    usual = {
        "response_type": "code",
        "client_id": "vestnik-pages",
        "redirect_uri": CALLBACK,
        "scope": scope,
        "state": "some state",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return usual | others


def code_in(answer: requests.Response) -> str:
    """Read the code that a user is sent back with."""
    assert answer.status_code == 302, answer.text
    location = answer.headers["Location"]
    assert location.startswith(f"{CALLBACK}?"), location
    return parse_qs(urlsplit(location).query)["code"][0]
