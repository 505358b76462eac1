import base64

import pytest

from infra.host.gateway_event import answer_of, proxy_event, resolve

ROUTES = {
    "/clients": ["GET", "POST"],
    "/clients/{client_id}": ["GET", "DELETE"],
    "/clients/imports": ["POST"],
    "/clients/imports/{import_id}": ["GET"],
    "/admin": ["GET"],
}


@pytest.mark.parametrize(
    ("method", "path", "resource", "parameters"),
    [
        ("GET", "/clients", "/clients", {}),
        ("GET", "/clients/1", "/clients/{client_id}", {"client_id": "1"}),
        ("GET", "/clients/a%2Fb%00", "/clients/{client_id}", {"client_id": "a%2Fb%00"}),
        ("GET", "/clients/ж", "/clients/{client_id}", {"client_id": "%D0%B6"}),
        ("POST", "/clients/imports", "/clients/imports", {}),
        ("GET", "/clients/imports", "/clients/{client_id}", {"client_id": "imports"}),
        ("GET", "/clients/imports/7", "/clients/imports/{import_id}", {"import_id": "7"}),
        ("GET", "/admin/", "/admin", {}),
        ("GET", "/admin", "/admin", {}),
        ("GET", "/admin//", "/{proxy+}", {"proxy": "admin//"}),
        ("GET", "/clients/1/", "/clients/{client_id}", {"client_id": "1"}),
        ("PUT", "/clients", "/{proxy+}", {"proxy": "clients"}),
        ("GET", "/clients//1", "/{proxy+}", {"proxy": "clients//1"}),
        ("GET", "/clients/1/x", "/{proxy+}", {"proxy": "clients/1/x"}),
        ("HEAD", "/clients", "/{proxy+}", {"proxy": "clients"}),
        ("GET", "/", "/", {}),
    ],
)
def test_path_and_method_are_a_pair(method: str, path: str, resource: str, parameters: dict[str, str]) -> None:
    assert resolve(ROUTES, method, path) == (resource, parameters)


def test_event_is_that_of_a_rest_api() -> None:
    headers = {"host": "api.example", "user-agent": "test", "content-type": "application/json"}

    event = proxy_event(ROUTES, "POST", "/clients", "a=1&a=%D0%B6&b=", headers, b'{"\xd0\xb6":1}', "192.0.2.7", "api")
    context = event.pop("requestContext")

    assert event == {
        "resource": "/clients",
        "path": "/clients",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {"a": "ж", "b": ""},
        "multiValueQueryStringParameters": {"a": ["1", "ж"], "b": [""]},
        "pathParameters": None,
        "stageVariables": None,
        "body": '{"ж":1}',
        "isBase64Encoded": False,
    }
    assert context["resourcePath"] == "/clients"
    assert (context["httpMethod"], context["stage"], context["path"]) == ("POST", "api", "/api/clients")
    assert context["identity"] == {"sourceIp": "192.0.2.7", "userAgent": "test"}


def test_what_is_not_given_is_none_and_each_request_has_its_id() -> None:
    first, second = (proxy_event(ROUTES, "GET", "/clients/1", "", {}, b"", "192.0.2.7") for _ in range(2))

    assert (first["queryStringParameters"], first["multiValueQueryStringParameters"]) == (None, None)
    assert (first["body"], first["isBase64Encoded"]) == (None, False)
    assert first["pathParameters"] == {"client_id": "1"}
    assert first["requestContext"]["path"] == "/clients/1", "there is no stage"
    assert first["requestContext"]["requestId"] != second["requestContext"]["requestId"]


def test_what_is_no_text_arrives_in_base64() -> None:
    event = proxy_event(ROUTES, "POST", "/clients", "", {}, b"\xff\x00", "192.0.2.7")

    assert (event["body"], event["isBase64Encoded"]) == (base64.b64encode(b"\xff\x00").decode(), True)


def test_answer_keeps_each_of_several_headers() -> None:
    returned = {
        "statusCode": 303,
        "headers": {"Location": "/x", "Set-Cookie": "passed over"},
        "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]},
        "body": "ж",
    }

    status, headers, body = answer_of(returned)

    assert status == "303 See Other"
    assert headers == [("Location", "/x"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    assert body == "ж".encode()


def test_answer_in_base64_is_decoded_and_none_has_no_body() -> None:
    encoded = {"statusCode": 200, "body": base64.b64encode(b"\xff").decode(), "isBase64Encoded": True}

    assert answer_of(encoded) == ("200 OK", [], b"\xff")
    assert answer_of({"statusCode": 204}) == ("204 No Content", [], b"")


@pytest.mark.parametrize(
    "returned", [{}, {"statusCode": "no"}, {"statusCode": 200, "body": "#", "isBase64Encoded": True}]
)
def test_what_is_no_answer_is_refused(returned: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        answer_of(returned)
