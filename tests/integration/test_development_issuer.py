"""The development issuer, as programs and pages meet it; its tokens, as the API does."""

import json
import signal
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.jws import extract_compact

from chalicelib.adapters.access_tokens import AccessTokens
from chalicelib.adapters.issuer import Issuer
from chalicelib.adapters.issuer_keys import IssuerKeys
from chalicelib.api.scopes import Scope
from chalicelib.domain.access import Grant
from chalicelib.errors import RefusedTokenError
from probe import free_port
from tests.local_issuer import (
    CALLBACK,
    TIMEOUT_SECONDS,
    VERIFIER,
    RunningIssuer,
    authorization,
    code_in,
    running_issuer,
)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIssuer]:
    with running_issuer(tmp_path_factory.mktemp("issuer") / "issuer.json") as running:
        yield running


@pytest.fixture
def browser() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def api_of(issuer: RunningIssuer) -> AccessTokens:
    keys = IssuerKeys(Issuer(issuer.url), time.monotonic)
    return AccessTokens(keys, issuer.url, "vestnik", 0, lambda: datetime.now(UTC))


def log_in(issuer: RunningIssuer, browser: requests.Session, user: str, scope: str, **others: str) -> requests.Response:
    query = authorization(scope, **others)
    form = {"username": user, "password": user}
    return browser.post(
        f"{issuer.url}/authorize", params=query, data=form, allow_redirects=False, timeout=TIMEOUT_SECONDS
    )


def exchange(issuer: RunningIssuer, code: str, **others: str) -> requests.Response:
    usual = {"client_id": "vestnik-pages", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return issuer.ask({"grant_type": "authorization_code", "code": code, **usual, **others})


def test_discovery_leads_to_addresses_that_are_there(issuer: RunningIssuer) -> None:
    configuration = issuer.get("/.well-known/openid-configuration")
    assert configuration["issuer"] == issuer.url
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"):
        assert requests.get(configuration[name], timeout=TIMEOUT_SECONDS).status_code != 404, name
    assert set(Scope) < set(configuration["scopes_supported"])


def test_no_private_key_is_published(issuer: RunningIssuer) -> None:
    for key in issuer.get("/keys")["keys"]:
        assert key.keys() == {"kty", "n", "e", "kid", "use", "alg"}


def test_a_program_gets_a_token_that_the_api_takes(issuer: RunningIssuer) -> None:
    assert api_of(issuer).verify(issuer.token()) == Grant("vestnik-development", frozenset(Scope))
    some = issuer.token(scope="clients:read stats:read")
    assert api_of(issuer).verify(some).scopes == {"clients:read", "stats:read"}


@pytest.mark.parametrize(
    ("asked", "auth", "error"),
    [
        ({"grant_type": "client_credentials", "scope": "everything"}, True, "invalid_scope"),
        ({"grant_type": "client_credentials"}, False, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": "vestnik-pages"}, False, "invalid_client"),
        ({"grant_type": "password", "username": "admin", "password": "admin"}, True, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x", "client_id": "vestnik-pages"}, False, "invalid_grant"),
    ],
)
def test_what_is_not_granted_is_refused(
    issuer: RunningIssuer, asked: dict[str, str], *, auth: bool, error: str
) -> None:
    answer = issuer.ask(asked, ("vestnik-development", issuer.secret) if auth else None)
    assert answer.status_code in {400, 401}
    assert answer.json()["error"] == error
    wrong = issuer.ask({"grant_type": "client_credentials"}, ("vestnik-development", "guessed"))
    assert wrong.json()["error"] == "invalid_client"


@pytest.mark.parametrize("user", ["viewer", "editor", "sender", "admin"])
def test_a_user_logs_in_and_pages_learn_who_that_is(
    issuer: RunningIssuer, browser: requests.Session, user: str
) -> None:
    scope = f"openid profile email {' '.join(Scope)}"
    tokens = exchange(issuer, code_in(log_in(issuer, browser, user, scope, nonce="n"))).json()

    claims = jwt.decode(tokens["id_token"], KeySet.import_key_set(issuer.get("/keys"))).claims  # type: ignore[arg-type]
    assert (claims["sub"], claims["roles"], claims["aud"]) == (user, [user], ["vestnik-pages"])
    assert (claims["iss"], claims["nonce"], claims["email"]) == (issuer.url, "n", f"{user}@vestnik.example")
    assert user in claims["name"].lower()
    granted = api_of(issuer).verify(tokens["access_token"])
    assert granted.subject == user
    assert Scope.CLIENTS_READ in granted.scopes
    assert (Scope.CLIENTS_WRITE in granted.scopes) == (user != "viewer")
    assert (Scope.MAILINGS_SEND in granted.scopes) == (user in {"sender", "admin"})
    assert (Scope.ADMIN in granted.scopes) == (user == "admin")


def test_an_id_token_is_no_access_token(issuer: RunningIssuer, browser: requests.Session) -> None:
    tokens = exchange(issuer, code_in(log_in(issuer, browser, "admin", "openid admin"))).json()
    with pytest.raises(RefusedTokenError):
        api_of(issuer).verify(tokens["id_token"])
    for_pages = AccessTokens(
        IssuerKeys(Issuer(issuer.url), time.monotonic), issuer.url, "vestnik-pages", 0, lambda: datetime.now(UTC)
    )
    with pytest.raises(RefusedTokenError, match="no access token"):
        for_pages.verify(tokens["id_token"])


def test_the_login_page_asks_again_after_a_wrong_password(issuer: RunningIssuer, browser: requests.Session) -> None:
    query = authorization("openid")
    page = browser.get(f"{issuer.url}/authorize", params=query, timeout=TIMEOUT_SECONDS)
    assert page.status_code == 200
    assert "Log in" in page.text
    assert 'role="alert"' not in page.text
    for form in ({"username": "admin", "password": "x"}, {"username": "x", "password": "x"}, {}):
        again = browser.post(f"{issuer.url}/authorize", params=query, data=form, timeout=TIMEOUT_SECONDS)
        assert (again.status_code, 'role="alert"' in again.text) == (200, True)


def test_a_login_lasts_until_the_user_logs_out(issuer: RunningIssuer, browser: requests.Session) -> None:
    code_in(log_in(issuer, browser, "editor", "openid"))
    address, query = f"{issuer.url}/authorize", authorization("openid")
    code_in(browser.get(address, params=query, allow_redirects=False, timeout=TIMEOUT_SECONDS))
    asked_again = authorization("openid", prompt="login")
    assert "Log in" in browser.get(address, params=asked_again, timeout=TIMEOUT_SECONDS).text
    back = {"post_logout_redirect_uri": CALLBACK}
    gone = browser.get(f"{issuer.url}/logout", params=back, allow_redirects=False, timeout=TIMEOUT_SECONDS)
    assert (gone.status_code, gone.headers["Location"]) == (302, CALLBACK)
    assert "Log in" in browser.get(address, params=query, timeout=TIMEOUT_SECONDS).text


@pytest.mark.parametrize("address", ["https://attacker.test/", "http://attacker.test/", "javascript:alert(1)", "//x"])
def test_nobody_is_sent_to_another_machine(issuer: RunningIssuer, browser: requests.Session, address: str) -> None:
    refused = log_in(issuer, browser, "admin", "openid", redirect_uri=address)
    assert (refused.status_code, "Location" in refused.headers) == (400, False)
    params = {"post_logout_redirect_uri": address}
    gone = browser.get(f"{issuer.url}/logout", params=params, allow_redirects=False, timeout=TIMEOUT_SECONDS)
    assert (gone.status_code, "Location" in gone.headers) == (200, False)


def test_a_code_is_good_once_and_for_its_own_page_only(issuer: RunningIssuer, browser: requests.Session) -> None:
    for wrong in ({"code_verifier": "x" * 50}, {"code_verifier": ""}, {"redirect_uri": "http://127.0.0.1:10/"}):
        code = code_in(log_in(issuer, browser, "viewer", "openid"))
        assert exchange(issuer, code, **wrong).status_code == 400
    code = code_in(log_in(issuer, browser, "viewer", "openid"))
    assert exchange(issuer, code).status_code == 200
    assert exchange(issuer, code).json()["error"] == "invalid_grant"


def test_pkce_takes_hashed_challenges_only(issuer: RunningIssuer, browser: requests.Session) -> None:
    plain = log_in(issuer, browser, "viewer", "openid", code_challenge=VERIFIER, code_challenge_method="plain")
    assert plain.headers["Location"].startswith(f"{CALLBACK}?error=invalid_request&")
    none = log_in(issuer, browser, "viewer", "openid", code_challenge="", code_challenge_method="")
    for verifier in (VERIFIER, ""):
        assert exchange(issuer, code_in(none), code_verifier=verifier).status_code == 400


def test_pages_of_this_machine_may_ask_and_no_others(issuer: RunningIssuer) -> None:
    def allowed(origin: str) -> str | None:
        asked = requests.options(f"{issuer.url}/token", headers={"Origin": origin}, timeout=TIMEOUT_SECONDS)
        return asked.headers.get("Access-Control-Allow-Origin")

    assert allowed("http://127.0.0.1:4566") == "http://127.0.0.1:4566"
    assert allowed("https://attacker.test") is None


def test_tokens_outlive_a_restart_and_a_rotation_but_not_their_key(tmp_path: Path) -> None:
    memory = tmp_path / "issuer.json"
    with running_issuer(memory) as issuer:
        first, url = issuer.token(), issuer.url
        assert stat.S_IMODE(memory.stat().st_mode) == 0o600
        issuer.process.send_signal(signal.SIGTERM)
        assert issuer.process.wait(TIMEOUT_SECONDS) == 0
    with running_issuer(memory) as issuer:
        assert issuer.url == url
        assert api_of(issuer).verify(first).subject == "vestnik-development"
        requests.post(f"{url}/_keys", timeout=TIMEOUT_SECONDS).raise_for_status()
        second = issuer.token()
        assert kid_of(second) != kid_of(first)
        for token in (first, second):
            assert api_of(issuer).verify(token).subject == "vestnik-development"
        requests.delete(f"{url}/_keys", timeout=TIMEOUT_SECONDS).raise_for_status()
        assert api_of(issuer).verify(second).subject == "vestnik-development"
        with pytest.raises(RefusedTokenError, match="key that its issuer does not have"):
            api_of(issuer).verify(first)


def test_it_takes_another_port_if_somebody_has_its_own(tmp_path: Path) -> None:
    memory = tmp_path / "issuer.json"
    with running_issuer(memory) as issuer:
        url = issuer.url
    with socket.create_server(("127.0.0.1", int(url.rpartition(":")[2]))), running_issuer(memory) as issuer:
        assert issuer.url != url
        assert api_of(issuer).verify(issuer.token()).subject == "vestnik-development"


def test_tokens_are_for_the_audience_that_it_is_told(tmp_path: Path) -> None:
    with running_issuer(tmp_path / "issuer.json", "--audience", "https://api.example") as issuer:
        assert claims_in(issuer.token(), issuer)["aud"] == "https://api.example"


def test_it_listens_where_it_is_told_and_calls_itself_what_it_is_told(tmp_path: Path) -> None:
    port = free_port()
    named = f"http://issuer.localhost:{port}"
    with running_issuer(
        tmp_path / "issuer.json", "--host", "127.0.0.2", "--port", str(port), "--address", named
    ) as issuer:
        assert issuer.url == named
        assert json.loads(issuer.memory.read_text())["address"] == named
        here = replace(issuer, url=f"http://127.0.0.2:{port}")
        assert here.get("/.well-known/openid-configuration")["jwks_uri"] == f"{named}/keys"
        assert claims_in(here.token(), here)["iss"] == named
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{port}/keys", timeout=TIMEOUT_SECONDS)


def claims_in(token: str, issuer: RunningIssuer) -> dict[str, Any]:
    return jwt.decode(token, KeySet.import_key_set(issuer.get("/keys"))).claims  # type: ignore[arg-type]


def kid_of(token: str) -> str:
    return str(extract_compact(token.encode()).headers()["kid"])
