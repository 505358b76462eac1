"""What botocore makes of requests and answers; each test fails when it no longer has the seam that `lighten` uses."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from pynamodb.models import Model

from chalicelib.adapters.dynamodb import DynamoDB
from chalicelib.adapters.tables import TABLES
from tests.aws_errors import answered, as_response, error

# A type of which botocore has not heard: it can only pass who does not look.
ITEM = {"id": {"UNHEARD": "of"}}
READ = {"things": {"Keys": [ITEM]}}
PUT = [{"Put": {"TableName": "things", "Item": ITEM}}]
STATEMENT = [{"Statement": "UPDATE …", "Parameters": [ITEM["id"]]}]

Client = Any


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ACCOUNT_ID", "123456789012")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it would keep other credentials, or pass these on


@pytest.fixture
def light(aws: None) -> Client:  # noqa: ARG001 - what it is made with
    return DynamoDB().client


@pytest.mark.parametrize("model", TABLES)
def test_no_attribute_is_binary(model: type[Model]) -> None:
    kinds = {attribute.attr_type for attribute in model.get_attributes().values()}
    assert kinds <= {"S", "N", "BOOL", "L"}


@pytest.mark.parametrize(
    ("operation", "call", "answer"),
    [
        ("BatchGetItem", lambda client: client.batch_get_item(RequestItems={}), {"Responses": {"things": [ITEM]}}),
        (
            "BatchExecuteStatement",
            lambda client: client.batch_execute_statement(Statements=[]),
            {"Responses": [{"TableName": "things", "Item": ITEM}, {"Unheard": "of"}]},
        ),
        ("GetItem", lambda client: client.get_item(TableName="things", Key={}), {"Item": ITEM}),
        ("Query", lambda client: client.query(TableName="things"), {"Items": [ITEM]}),
    ],
)
def test_items_and_results_come_as_the_answer_has_them(
    light: Client, operation: str, call: Callable[[Client], dict[str, Any]], answer: dict[str, Any]
) -> None:
    with answered(light, operation, (200, answer)):
        found = call(light)
    del found["ResponseMetadata"]
    assert found == answer


def test_so_do_items_of_a_transaction_that_was_cancelled(light: Client) -> None:
    reasons = [{"Code": "ConditionalCheckFailed", "Item": ITEM}, {"Code": "None"}]
    fault = error("TransactionCanceledException", CancellationReasons=reasons)
    with answered(light, "TransactWriteItems", fault):
        assert DynamoDB(light).write(PUT) == reasons


@pytest.mark.parametrize(
    ("operation", "call", "sent"),
    [
        ("BatchGetItem", lambda client: client.batch_get_item(RequestItems=READ), {"RequestItems": READ}),
        (
            "TransactWriteItems",
            lambda client: client.transact_write_items(TransactItems=PUT, ClientRequestToken="once"),
            {"TransactItems": PUT, "ClientRequestToken": "once"},
        ),
        (
            "BatchExecuteStatement",
            lambda client: client.batch_execute_statement(Statements=STATEMENT),
            {"Statements": STATEMENT},
        ),
    ],
)
def test_requests_go_as_they_are(
    light: Client, operation: str, call: Callable[[Client], object], sent: dict[str, Any]
) -> None:
    with answered(light, operation, (200, {})) as calls:
        call(light)
    assert calls == [sent]


def test_transactions_still_have_a_token_each(light: Client) -> None:
    with answered(light, "TransactWriteItems", (200, {}), (200, {})) as calls:
        for _ in range(2):
            light.transact_write_items(TransactItems=PUT)
    assert len({call["ClientRequestToken"] for call in calls}) == 2


def test_another_client_is_as_it_was(light: Client) -> None:
    other: Client = boto3.client("dynamodb")
    assert light.meta.service_model is not other.meta.service_model
    with answered(other, "GetItem", (200, {"Item": ITEM})):
        assert other.get_item(TableName="things", Key={"id": {"S": "1"}})["Item"] == {"id": {}}


def searched(client: Client) -> object:
    return client.meta.service_model.operation_model("TransactWriteItems").operation_context_parameters


def test_requests_are_not_searched_for_names_of_tables(light: Client) -> None:
    assert searched(boto3.client("dynamodb"))
    assert not searched(light)


def test_the_endpoint_of_the_account_is_found_without_it(light: Client) -> None:
    asked = [request.url for request in requests(boto3.client("dynamodb"), light)]
    assert asked == ["https://123456789012.ddb.us-east-1.amazonaws.com/"] * 2


def test_requests_name_who_makes_them(light: Client) -> None:
    (request,) = requests(light)
    assert request.headers["User-Agent"].startswith(b"vestnik ")


def requests(*clients: Client) -> list[Any]:
    """Catch what each of these clients would send."""
    caught: list[Any] = []  # botocore's types call headers text, which are bytes

    def catch(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        caught.append(request)
        return as_response(request.url, (200, {}))

    for client in clients:
        client.meta.events.register("before-send.dynamodb", catch)
        client.transact_write_items(TransactItems=[{"Put": {"TableName": "things", "Item": {"id": {"S": "1"}}}}])
    return caught
