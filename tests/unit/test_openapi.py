import json
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import openapi_copy
from app import app
from chalicelib.api import OPERATIONS
from chalicelib.api.openapi import document
from chalicelib.api.problem_schemas import InvalidResponse, ProblemResponse
from chalicelib.api.resource import Operation
from chalicelib.api.schemas import WireModel
from chalicelib.api.scopes import Scope

DOCUMENT = document(OPERATIONS)
BODIES = [operation.body for operation in OPERATIONS if operation.body and operation.body.model_fields]

PROBLEMS = [each for each in DOCUMENT["components"]["responses"].values() if "content" in each]
SCOPED = (401, 403, 503)
WITH_BODY = (400, 413, 415)


def named(operation: Operation) -> str:
    return operation.view.__name__


def described(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][operation.path][operation.method.lower()]
    return found


def test_the_document_is_valid() -> None:
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_the_committed_copy_is_what_the_code_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["openapi_copy.py", "--check"])
    assert openapi_copy.main() == 0


def test_a_copy_that_differs_is_refused_with_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(openapi_copy, "COPY", tmp_path / "openapi.json")
    monkeypatch.setattr("sys.argv", ["openapi_copy.py", "--check"])
    assert openapi_copy.main() == 1
    assert "make openapi" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["openapi_copy.py"])
    assert openapi_copy.main() == 0
    assert json.loads((tmp_path / "openapi.json").read_text()) == DOCUMENT


def test_every_route_is_described() -> None:
    routes = {(path, method) for path, methods in app.routes.items() for method in methods}
    pages = {(path, method) for path, method in routes if path.startswith(("/docs", "/admin"))}
    paths = {(path, method.upper()) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert paths == routes - pages


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_an_operation_says_what_it_does_and_what_it_needs(operation: Operation) -> None:
    said = described(operation)
    assert said["summary"][-1].isalnum()
    assert "\n" not in said["summary"]
    assert said["tags"] == [operation.tag]
    assert operation.tag in {tag["name"] for tag in DOCUMENT["tags"]}
    assert said["security"] == ([{"bearer": [operation.scope]}] if operation.scope else [])
    assert (operation.scope or "Open to all") in said["description"]
    assert {"200", "201", "202", "204"} & said["responses"].keys()
    assert all("description" in parameter for parameter in said.get("parameters", []))


def test_operations_have_ids_of_their_own() -> None:
    assert len({named(operation) for operation in OPERATIONS}) == len(OPERATIONS)


def test_every_scope_has_a_meaning_that_the_document_tells() -> None:
    told = DOCUMENT["components"]["securitySchemes"]["bearer"]["description"]
    assert [scope for scope in Scope if f"`{scope}`: " not in told] == []


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("/health", "get", {200}),
        ("/clients", "get", {200, *SCOPED}),
        ("/clients", "post", {201, 409, *SCOPED, *WITH_BODY}),
        ("/clients/{client_id}", "get", {200, 304, 404, *SCOPED}),
        ("/clients/{client_id}", "delete", {204, 404, 409, 412, *SCOPED}),
        ("/mailings/process", "post", {202, 409, *SCOPED, *WITH_BODY}),
    ],
)
def test_the_answers_of_an_operation_follow_from_its_declaration(path: str, method: str, statuses: set[int]) -> None:
    assert set(map(int, DOCUMENT["paths"][path][method]["responses"])) == statuses | {414, 422, 429, 431, 500}


@pytest.mark.parametrize(
    ("path", "method", "given", "shown"),
    [
        ("/clients", "post", {"Idempotency-Key"}, {"X-Request-Id", "Location", "ETag", "Idempotency-Replayed"}),
        ("/clients", "get", set(), {"X-Request-Id"}),
        ("/clients/{client_id}", "get", {"If-None-Match"}, {"X-Request-Id", "ETag"}),
        ("/clients/{client_id}", "patch", {"If-Match"}, {"X-Request-Id", "ETag"}),
        ("/clients/{client_id}", "delete", {"If-Match"}, {"X-Request-Id"}),
    ],
)
def test_the_headers_of_an_operation_follow_from_its_declaration(
    path: str, method: str, given: set[str], shown: set[str]
) -> None:
    operation = DOCUMENT["paths"][path][method]
    answer = next(iter(operation["responses"].values()))
    assert {each["name"] for each in operation.get("parameters", []) if each["in"] == "header"} == given
    assert set(answer["headers"]) == shown


def test_an_issuer_is_named_by_its_discovery() -> None:
    with_issuer = document(OPERATIONS, "https://issuer.example/tenant/")
    address = with_issuer["components"]["securitySchemes"]["issuer"]["openIdConnectUrl"]
    assert address == "https://issuer.example/tenant/.well-known/openid-configuration"
    assert with_issuer["paths"]["/stats"]["get"]["security"] == [{"bearer": ["stats:read"]}, {"issuer": ["stats:read"]}]
    assert list(OpenAPIV31SpecValidator(with_issuer).iter_errors()) == []


def test_query_parameters_are_never_null() -> None:
    parameters = {each["name"]: each for each in DOCUMENT["paths"]["/clients"]["get"]["parameters"]}
    assert list(parameters) == ["limit", "cursor", "operator_code", "tag", "phone"]
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}
    assert parameters["phone"]["schema"]["pattern"] == "^7[0-9]{10}$"
    assert not any(parameter["required"] for parameter in parameters.values())
    assert '"null"' not in json.dumps(parameters)


def test_names_are_those_that_a_reader_of_generated_code_would_expect() -> None:
    assert [name for name in DOCUMENT["components"]["schemas"] if not name.isidentifier() or "_" in name] == []
    assert "ClientList" in DOCUMENT["components"]["schemas"]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_the_examples_of_a_request_make_a_valid_one(body: type[WireModel]) -> None:
    schema = DOCUMENT["components"]["schemas"][body.__name__]
    sample = sampled(schema)
    assert set(schema.get("required", [])) <= sample.keys()
    body.model_validate(sample)


@pytest.mark.parametrize("response", PROBLEMS, ids=lambda each: each["description"])
def test_the_example_of_a_problem_is_one(response: dict[str, Any]) -> None:
    content = response["content"]["application/problem+json"]
    shape = InvalidResponse if content["schema"]["$ref"].endswith("/InvalidResponse") else ProblemResponse
    shape.model_validate(content["example"])


def sampled(schema: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Make an example as Swagger UI does: of the first example of each field, or its default."""
    match schema:
        case {"$ref": str(reference)}:
            return sampled(DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]])
        case {"examples": [value, *_]} | {"default": value} | {"enum": [value, *_]}:
            return value
        case {"anyOf": [first, *_]}:
            return sampled(first)
        case {"type": "array", "items": items}:
            return [sampled(items)]
        case {"type": "object", "properties": fields}:
            return {name: sampled(field) for name, field in fields.items()}
    raise AssertionError(f"there is no example of {schema}")
