"""Who is let in, on whose word, and to what."""

import json
from dataclasses import replace
from io import StringIO

import pytest
from joserfc.jwk import Key

from chalicelib.adapters.access_tokens import AccessTokens
from chalicelib.adapters.tables import ClientItem, MailingItem
from chalicelib.api import OPERATIONS
from chalicelib.api.resource import Operation
from chalicelib.api.scopes import Scope
from chalicelib.bootstrap import Application
from chalicelib.config import Settings
from chalicelib.errors import TransientError
from tests.attacks import attacks
from tests.gateway import Answer, Gateway
from tests.integration.conftest import SETTINGS
from tests.operations import GUARDED, address_of
from tests.tables import items_of
from tests.tokens import AUDIENCE, ISSUER, KEY, TOKEN, claims_of, signed, token_for

CLIENT = {"phone": "79161234567", "timezone": "Europe/Moscow"}


def call(api: Gateway, operation: Operation) -> Answer:
    return api(operation.method, address_of(operation), {} if operation.body else None)


def name_of(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def test_each_attack_is_refused_with_its_reason_and_changes_nothing(api: Gateway) -> None:
    for attack in attacks(KEY, claims_of()):
        headers = {"authorization": f"Bearer {attack.credentials}"}
        for method, path in (("POST", "/clients"), ("GET", "/nothing")):
            answer = Gateway()(method, path, CLIENT, headers=headers)
            challenge = f'Bearer error="invalid_token", error_description="{attack.said}"'
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, challenge), attack.name
            assert answer.json["detail"] == attack.said
            assert "X-Subject" not in answer.headers
    assert items_of(ClientItem) == []
    assert api("GET", "/clients").status == 200


@pytest.mark.parametrize("operation", GUARDED, ids=name_of)
def test_without_its_scope_an_operation_is_forbidden_and_the_scope_named(api: Gateway, operation: Operation) -> None:
    assert operation.scope
    others = [scope for scope in Scope if scope != operation.scope]
    answer = call(replace(api, token=token_for(*others)), operation)
    assert answer.status == 403
    assert answer.headers["WWW-Authenticate"] == f'Bearer error="insufficient_scope", scope="{operation.scope}"'
    assert operation.scope in answer.json["detail"]
    assert call(replace(api, token=token_for(*Scope)), operation).status not in {401, 403, 500}


@pytest.mark.parametrize("operation", GUARDED, ids=name_of)
def test_without_a_token_no_operation_is_done(api: Gateway, operation: Operation) -> None:
    assert call(replace(api, token=None), operation).status == 401


def test_only_health_and_the_documents_are_open_to_all() -> None:
    assert {operation.path for operation in OPERATIONS if operation.scope is None} == {"/health", "/openapi.json"}


def test_a_scope_is_a_whole_word(api: Gateway) -> None:
    for scope in ("clients:readx", "CLIENTS:READ", "clients", "clients:*", "*", "clients:read,stats:read"):
        assert replace(api, token=token_for(scope))("GET", "/clients").status == 403, scope


def test_a_mailing_that_is_no_draft_needs_the_scope_to_send(api: Gateway) -> None:
    editor = replace(api, token=token_for(Scope.MAILINGS_WRITE, Scope.MAILINGS_READ))
    mailing = {"start_at": "2100-01-01T00:00:00Z", "end_at": "2100-01-02T00:00:00Z", "text": "x"}
    refused = editor("POST", "/mailings", mailing)
    assert refused.status == 403
    assert Scope.MAILINGS_SEND in refused.json["detail"]
    assert items_of(MailingItem) == []
    assert editor("POST", "/mailings", {**mailing, "draft": True}).status == 201


def test_scopes_of_others_are_let_pass(api: Gateway) -> None:
    stranger = signed(claims_of(["openid", "clients:read"], permissions=["x:y"], scp="stats:read"))
    assert replace(api, token=stranger)("GET", "/clients").status == 200
    assert replace(api, token=stranger)("GET", "/stats").status == 200


def test_the_log_says_who_asked_and_why_somebody_was_refused_but_no_token(api: Gateway, logged: StringIO) -> None:
    replace(api, token=signed(claims_of(sub="shop")))("GET", "/clients")
    Gateway("not.a.token")("GET", "/clients")
    Gateway()("GET", "/health")
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    answered = [line for line in lines if line["message"] == "request answered"]
    assert [(line["status"], line.get("subject")) for line in answered] == [(200, "shop"), (401, None), (200, None)]
    (refused,) = (line for line in lines if line["message"] == "access token refused")
    assert refused["reason"] == "the token is no JWT"
    assert "not.a.token" not in logged.getvalue()


def test_while_keys_cannot_be_had_nobody_is_let_in_nor_turned_away(api: Gateway, built: Application) -> None:
    class Silent:
        def find(self, key_id: str | None, algorithm: str) -> Key | None:
            raise TransientError(f"the issuer does not answer, of {key_id} {algorithm}")

    built.__dict__["access_tokens"] = AccessTokens(Silent(), ISSUER, AUDIENCE, 30, built.clock)
    answer = api("GET", "/clients")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert "issuer" not in answer.text
    assert Gateway()("GET", "/clients").status == 401
    assert Gateway()("GET", "/health").status == 200


def test_without_an_issuer_the_door_is_closed_and_says_so(
    api: Gateway, built: Application, logged: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = Settings.from_env({**SETTINGS, "ISSUER_URL": ""})
    monkeypatch.setattr(built, "settings", without)
    del built.__dict__["access_tokens"]
    for headers in ({}, {"authorization": f"Bearer {TOKEN}"}, {"authorization": "Bearer "}):
        answer = Gateway()("GET", "/clients", headers=headers)
        assert answer.status == 503
        assert "ISSUER_URL" in answer.json["detail"]
    assert api("POST", "/clients", CLIENT).status == 503
    assert items_of(ClientItem) == []
    assert Gateway()("GET", "/health").status == 200
    errors = [json.loads(line) for line in logged.getvalue().splitlines() if '"ERROR"' in line]
    assert {error["setting"] for error in errors} == {"ISSUER_URL"}
