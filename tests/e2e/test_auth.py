"""Access tokens of a real issuer, on the packaged application: attacks, scopes, rotation, an issuer that is gone."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from joserfc.jwk import RSAKey

from access_token import fetch_token
from chalicelib.api.scopes import Scope
from programs import ISSUER, ISSUER_FILE
from tests.attacks import attacks
from tests.e2e.conftest import StartStack
from tests.operations import GUARDED, address_of
from tests.running_stack import RunningStack, poll
from tests.tokens import claims_of, signed

MAKE_TOKEN = Path(__file__).parents[2] / "infra" / "local" / "access_token.py"
SENDABLE_BYTES = 20_000  # what is longer is refused before it comes to us


def folder_of(stack: RunningStack) -> Path:
    return stack.embedded._folder


def issuer_key(stack: RunningStack) -> RSAKey:
    """Take the issuer's own key: an attack is one by what it says, not for lack of a signature."""
    return RSAKey.import_key(json.loads((folder_of(stack) / ISSUER_FILE).read_text())["keys"][0])


def status_with(stack: RunningStack, token: str) -> int:
    return stack.request("GET", "/clients?limit=1", headers={"Authorization": f"Bearer {token}"}).status_code


def test_each_attack_is_refused_with_its_reason(stack: RunningStack) -> None:
    tried = 0
    for attack in attacks(issuer_key(stack), claims_of(iss=stack.info.issuer_url)):
        sent = attack.credentials
        if not sent.isascii() or not sent.isprintable() or len(sent) > SENDABLE_BYTES:
            continue
        answer = stack.request("GET", "/clients", headers={"Authorization": f"Bearer {sent}"})
        challenge = f'Bearer error="invalid_token", error_description="{attack.said}"'
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, challenge), attack.name
        tried += 1
    assert tried > 80
    assert stack.request("GET", "/clients?limit=1").status_code == 200


def test_without_its_scope_every_operation_is_forbidden_and_the_scope_named(stack: RunningStack) -> None:
    tokens = {
        missing: fetch_token(
            stack.info.issuer_url, folder_of(stack), " ".join(scope for scope in Scope if scope is not missing)
        )
        for missing in Scope
    }
    for operation in GUARDED:
        assert operation.scope
        answer = stack.request(
            operation.method,
            address_of(operation),
            {} if operation.body else None,
            headers={"Authorization": f"Bearer {tokens[operation.scope]}"},
        )
        named = f'Bearer error="insufficient_scope", scope="{operation.scope}"'
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (403, named), operation


def test_without_a_token_every_operation_answers_401(stack: RunningStack) -> None:
    for operation in GUARDED:
        path = address_of(operation)
        answer = stack.request(operation.method, path, headers={"Authorization": None})
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), operation


@pytest.mark.of_lambda("there one process serves all calls, and so has seen each key")
def test_keys_may_rotate_and_their_issuer_may_be_gone_for_a_while(start_stack: StartStack) -> None:
    stack = start_stack()
    url = stack.info.issuer_url
    old = stack.token
    assert status_with(stack, old) == 200

    requests.post(f"{url}/_keys", timeout=30).raise_for_status()
    new = fetch_token(url, folder_of(stack))
    poll(lambda: status_with(stack, new), until=lambda status: status == 200, deadline_seconds=30)
    assert status_with(stack, old) == 200

    issuer = next(process for process in stack.embedded.processes() if process.name == ISSUER)
    os.kill(issuer.pid, signal.SIGTERM)
    unknown = signed(claims_of(iss=url), RSAKey.generate_key(2048, {"kid": "unknown"}))
    poll(lambda: status_with(stack, unknown), until=lambda status: status == 503, deadline_seconds=30)
    assert (status_with(stack, old), status_with(stack, new)) == (200, 200)

    again = stack.embedded.up()
    assert (again.issuer_url, again.token) == (url, old)
    poll(lambda: status_with(stack, unknown), until=lambda status: status == 401, deadline_seconds=30)
    assert status_with(stack, new) == 200


def make_token(stack_file: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(MAKE_TOKEN), "--stack", str(stack_file), *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_make_token_prints_a_token_for_what_is_asked(stack: RunningStack) -> None:
    file = folder_of(stack) / "stack.json"

    every, some = make_token(file), make_token(file, "--scope", "clients:read stats:read")

    assert status_with(stack, every.stdout.strip()) == 200
    bearer = {"Authorization": f"Bearer {some.stdout.strip()}"}
    answers = [stack.request("GET", path, headers=bearer) for path in ("/clients", "/stats", "/mailings")]
    assert [answer.status_code for answer in answers] == [200, 200, 403]


@pytest.mark.parametrize(
    ("stack_json", "options", "said"),
    [
        (None, ["--scope", "clients:reed"], "no such scope in 'clients:reed'; there are: "),
        ({"issuer_url": "https://tenant.example"}, [], "https://tenant.example is not the development issuer"),
    ],
)
def test_make_token_says_why_there_is_none(
    stack: RunningStack, tmp_path: Path, stack_json: dict[str, str] | None, options: list[str], said: str
) -> None:
    file = folder_of(stack) / "stack.json"
    if stack_json:
        file = tmp_path / "stack.json"
        file.write_text(json.dumps(stack_json))

    finished = make_token(file, *options)

    assert (finished.returncode, finished.stdout) == (1, "")
    assert said in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
    assert "make up" in make_token(tmp_path / "nothing.json").stderr
