"""Facts of DynamoDB and SQS that the code leans on, asked of the emulator without our code in between.

Each is documented by AWS; where one fails here, the emulator has changed, and tests on it prove less than they say.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from botocore.exceptions import ClientError

from tests.emulator import running_emulator
from tests.running_stack import poll

AwsClient = Any  # boto3's clients are made at run time
TABLE = "facts"


@pytest.fixture(scope="module")
def session() -> Iterator[AwsClient]:
    with running_emulator() as session:
        yield session


@pytest.fixture(scope="module")
def dynamodb(session: AwsClient) -> AwsClient:
    client = session.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "N"},
            {"AttributeName": "due_shard", "AttributeType": "S"},
            {"AttributeName": "due_at", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_due",
                "KeySchema": [
                    {"AttributeName": "due_shard", "KeyType": "HASH"},
                    {"AttributeName": "due_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    return client


@pytest.fixture
def row(dynamodb: AwsClient) -> dict[str, Any]:
    """Put a row that nobody holds, due at 10."""
    item = {
        "id": {"N": "1"},
        "version": {"S": "v1"},
        "lease_until": {"N": "0"},
        "leases": {"N": "0"},
        "due_shard": {"S": "queued#01"},
        "due_at": {"N": "10"},
    }
    dynamodb.put_item(TableName=TABLE, Item=item)
    dynamodb.delete_item(TableName=TABLE, Key={"id": {"N": "2"}})
    return item


def read(dynamodb: AwsClient, id_: int = 1) -> dict[str, Any]:
    answer = dynamodb.get_item(TableName=TABLE, Key={"id": {"N": str(id_)}}, ConsistentRead=True)
    found: dict[str, Any] = answer.get("Item", {})
    return found


def execute(dynamodb: AwsClient, *statements: tuple[str, list[dict[str, str]]]) -> list[str | None]:
    answer = dynamodb.batch_execute_statement(
        Statements=[{"Statement": text, "Parameters": parameters} for text, parameters in statements]
    )
    return [response.get("Error", {}).get("Code") for response in answer["Responses"]]


LEASE = f'UPDATE "{TABLE}" SET lease_until=? SET version=? SET leases=? WHERE id=? AND version=?'  # noqa: S608
MOVE = f'UPDATE "{TABLE}" SET due_at=? SET version=? WHERE id=? AND due_at=? AND lease_until < ?'  # noqa: S608


def lease(id_: int) -> tuple[str, list[dict[str, str]]]:
    return LEASE, [{"N": "35"}, {"S": "mine"}, {"N": "1"}, {"N": str(id_)}, {"S": "v1"}]


def test_statements_have_a_result_each_and_go_on_after_one_that_failed(
    dynamodb: AwsClient, row: dict[str, Any]
) -> None:
    failed = "ConditionalCheckFailed"
    assert execute(dynamodb, lease(2), lease(1), lease(1)) == [failed, None, failed]
    assert read(dynamodb) == row | {"lease_until": {"N": "35"}, "version": {"S": "mine"}, "leases": {"N": "1"}}


def test_a_statement_never_makes_a_row(dynamodb: AwsClient, row: dict[str, Any]) -> None:
    assert row
    execute(dynamodb, lease(2))
    assert read(dynamodb, 2) == {}


def test_a_lease_is_released_by_its_version_alone(dynamodb: AwsClient, row: dict[str, Any]) -> None:
    execute(dynamodb, lease(1))
    stranger = (LEASE, [{"N": "0"}, {"S": "v2"}, {"N": "0"}, {"N": "1"}, {"S": "v1"}])
    owner = (LEASE, [{"N": "0"}, {"S": "v3"}, {"N": "0"}, {"N": "1"}, {"S": "mine"}])
    assert execute(dynamodb, stranger, owner) == ["ConditionalCheckFailed", None]
    assert read(dynamodb) == row | {"version": {"S": "v3"}}


def test_a_condition_on_an_attribute_that_is_not_there_fails(dynamodb: AwsClient, row: dict[str, Any]) -> None:
    ended = {name: value for name, value in row.items() if name != "lease_until"}
    dynamodb.put_item(TableName=TABLE, Item=ended)
    move = (MOVE, [{"N": "20"}, {"S": "v2"}, {"N": "1"}, {"N": "10"}, {"N": "11"}])
    assert execute(dynamodb, move) == ["ConditionalCheckFailed"]
    assert read(dynamodb) == ended


def test_of_two_inserts_the_first_counts(dynamodb: AwsClient, row: dict[str, Any]) -> None:
    insert = f"INSERT INTO \"{TABLE}\" VALUE {{'id':?,'version':?}}"
    mine, theirs = ([{"N": "2"}, {"S": version}] for version in ("mine", "theirs"))
    assert execute(dynamodb, (insert, mine), (insert, theirs)) == [None, "DuplicateItem"]
    assert read(dynamodb, 2) == {"id": {"N": "2"}, "version": {"S": "mine"}}
    assert execute(dynamodb, (insert, [{"N": "1"}, {"S": "mine"}])) == ["DuplicateItem"]
    assert read(dynamodb) == row


def test_due_rows_move_and_the_index_is_sparse(dynamodb: AwsClient, row: dict[str, Any]) -> None:
    move = (MOVE, [{"N": "20"}, {"S": "v2"}, {"N": "1"}, {"N": "10"}, {"N": "11"}])
    assert execute(dynamodb, move) == [None]
    assert execute(dynamodb, move) == ["ConditionalCheckFailed"]
    assert [due(dynamodb, before) for before in (19, 20)] == [[], ["1"]]
    dynamodb.put_item(TableName=TABLE, Item={name: row[name] for name in row if name != "due_shard"})
    assert due(dynamodb, 20) == []


def due(dynamodb: AwsClient, before: int) -> list[str]:
    answer = dynamodb.query(
        TableName=TABLE,
        IndexName="by_due",
        KeyConditionExpression="due_shard = :shard AND due_at <= :before",
        ExpressionAttributeValues={":shard": {"S": "queued#01"}, ":before": {"N": str(before)}},
    )
    return [item["id"]["N"] for item in answer["Items"]]


def test_26_statements_and_101_items_are_refused(dynamodb: AwsClient, row: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="25"):
        execute(dynamodb, *[lease(n) for n in range(100, 126)])
    puts = [{"Put": {"TableName": TABLE, "Item": row | {"id": {"N": str(n)}}}} for n in range(200, 301)]
    with pytest.raises(ClientError, match="100"):
        dynamodb.transact_write_items(TransactItems=puts)


# --- Transactions


def put(item: dict[str, Any], version: str) -> dict[str, Any]:
    return {
        "Put": {
            "TableName": TABLE,
            "Item": item,
            "ConditionExpression": "version = :read",
            "ExpressionAttributeValues": {":read": {"S": version}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def count(id_: int, name: str, change: int) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": TABLE,
            "Key": {"id": {"N": str(id_)}},
            "UpdateExpression": "ADD #0 :0 SET first_at = if_not_exists(first_at, :at), last_at = :at",
            "ExpressionAttributeNames": {"#0": name},
            "ExpressionAttributeValues": {":0": {"N": str(change)}, ":at": {"N": str(change)}},
        }
    }


def test_a_cancelled_transaction_changes_nothing_and_says_for_each_item_why(
    dynamodb: AwsClient,
    row: dict[str, Any],
) -> None:
    missing = {"id": {"N": "2"}}
    new = {"id": {"N": "3"}}
    is_new = {"Put": {"TableName": TABLE, "Item": new, "ConditionExpression": "attribute_not_exists(id)"}}
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as raised:
        dynamodb.transact_write_items(
            TransactItems=[is_new, put(row, "v0"), put(missing, "v1"), count(4, "deferred.retry", 1)]
        )
    reasons = raised.value.response["CancellationReasons"]
    failed = "ConditionalCheckFailed"
    assert [reason.get("Code", "None") for reason in reasons] == ["None", failed, failed, "None"]
    assert reasons[1]["Item"] == row
    assert "Item" not in reasons[2]
    assert read(dynamodb) == row
    assert [read(dynamodb, id_) for id_ in (2, 3, 4)] == [{}, {}, {}]


def test_counters_are_added_to_and_the_first_moment_stays(dynamodb: AwsClient) -> None:
    dynamodb.transact_write_items(TransactItems=[count(5, "deferred.retry", 3)])
    dynamodb.transact_write_items(TransactItems=[count(5, "deferred.retry", -2)])
    assert read(dynamodb, 5) == {
        "id": {"N": "5"},
        "deferred.retry": {"N": "1"},
        "first_at": {"N": "3"},
        "last_at": {"N": "-2"},
    }


def test_a_transaction_with_the_same_token_takes_effect_once(dynamodb: AwsClient) -> None:
    for _ in range(2):
        dynamodb.transact_write_items(TransactItems=[count(6, "sent", 1)], ClientRequestToken="the same")
    assert read(dynamodb, 6)["sent"] == {"N": "1"}
    dynamodb.transact_write_items(TransactItems=[count(6, "sent", 1)], ClientRequestToken="another")
    assert read(dynamodb, 6)["sent"] == {"N": "2"}


# --- Queues


def test_a_ticket_that_is_never_deleted_ends_in_the_dead_letters(session: AwsClient) -> None:
    sqs = session.client("sqs")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 2}}'
    queue = sqs.create_queue(QueueName="live", Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "0"})
    sqs.send_message(QueueUrl=queue["QueueUrl"], MessageBody="poison")
    for _ in range(3):
        sqs.receive_message(QueueUrl=queue["QueueUrl"])
    (message,) = sqs.receive_message(QueueUrl=dead)["Messages"]
    assert message["Body"] == "poison"


def test_a_delayed_ticket_is_neither_received_nor_counted_as_waiting(session: AwsClient) -> None:
    sqs = session.client("sqs")
    url = sqs.create_queue(QueueName="delayed")["QueueUrl"]
    entries = [{"Id": "0", "MessageBody": "later", "DelaySeconds": 900}, {"Id": "1", "MessageBody": "now"}]
    assert not sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")
    name = "ApproximateNumberOfMessages"
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name] == "1"
    (message,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert message["Body"] == "now"


# Change sets. See https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets.html

QUEUES = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Delay: {Type: Number, Default: 0}
  Secret: {Type: String, NoEcho: true, Default: ""}
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Sub "${AWS::StackName}-queue", DelaySeconds: !Ref Delay}
"""


class Stack:
    """A stack of one queue, changed by change sets."""

    def __init__(self, session: AwsClient) -> None:
        self.client = session.client("cloudformation")
        self.queues = session.client("sqs")
        self.name = f"facts-{time.time_ns()}"

    def propose(self, kind: str, **delay: object) -> dict[str, Any]:
        given = [{"ParameterKey": "Delay", **delay}] if delay else []
        made = self.client.create_change_set(
            StackName=self.name,
            ChangeSetName=f"set-{time.time_ns()}",
            ChangeSetType=kind,
            TemplateBody=QUEUES,
            Parameters=given,
            Capabilities=["CAPABILITY_AUTO_EXPAND"],
        )
        described: dict[str, Any] = poll(
            lambda: self.client.describe_change_set(ChangeSetName=made["Id"]),
            until=lambda seen: not seen["Status"].endswith("_IN_PROGRESS"),
            deadline_seconds=20,
        )
        return described

    def execute(self, change_set: dict[str, Any]) -> None:
        self.client.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
        poll(self.last_event, until=lambda event: event.endswith("_COMPLETE"), deadline_seconds=20)

    def last_event(self) -> str:
        """Return the last status that an event tells of the stack itself: the last one comes first."""
        events = self.client.describe_stack_events(StackName=self.name)["StackEvents"]
        return str(next(e["ResourceStatus"] for e in events if e["PhysicalResourceId"] == e["StackId"]))

    def made(self) -> Sequence[str]:
        found: Sequence[str] = self.queues.list_queues(QueueNamePrefix=self.name).get("QueueUrls", [])
        return found


@pytest.fixture
def queue_stack(session: AwsClient) -> Iterator[Stack]:
    stack = Stack(session)
    yield stack
    stack.client.delete_stack(StackName=stack.name)


def test_change_set_of_a_new_stack_makes_nothing_until_it_is_executed(queue_stack: Stack) -> None:
    change_set = queue_stack.propose("CREATE")
    before = queue_stack.made()
    waiting = queue_stack.client.describe_stacks(StackName=queue_stack.name)["Stacks"][0]["StackStatus"]

    queue_stack.execute(change_set)

    (change,) = (each["ResourceChange"] for each in change_set["Changes"])
    assert (change["Action"], change["LogicalResourceId"], change["ResourceType"]) == (
        "Add",
        "Queue",
        "AWS::SQS::Queue",
    )
    assert (change_set["Status"], waiting, list(before)) == ("CREATE_COMPLETE", "REVIEW_IN_PROGRESS", [])
    assert len(queue_stack.made()) == 1


def test_change_set_names_the_property_and_the_parameter_that_changes_it(queue_stack: Stack) -> None:
    queue_stack.execute(queue_stack.propose("CREATE"))

    (change,) = (each["ResourceChange"] for each in queue_stack.propose("UPDATE", ParameterValue="9")["Changes"])

    causes = {(detail["Target"]["Name"], detail.get("CausingEntity")) for detail in change["Details"]}
    assert change["Action"] == "Modify"
    assert causes == {("DelaySeconds", None), ("DelaySeconds", "Delay")}


def test_change_set_without_a_change_fails_and_says_so(queue_stack: Stack) -> None:
    queue_stack.execute(queue_stack.propose("CREATE", ParameterValue="9"))

    change_set = queue_stack.propose("UPDATE", UsePreviousValue=True)

    assert (change_set["Status"], change_set["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert "didn't contain changes" in change_set["StatusReason"]


def test_secret_parameters_are_not_told(queue_stack: Stack) -> None:
    queue_stack.execute(queue_stack.propose("CREATE"))

    told = queue_stack.client.describe_stacks(StackName=queue_stack.name)["Stacks"][0]["Parameters"]

    assert {each["ParameterKey"]: each["ParameterValue"] for each in told} == {"Delay": "0", "Secret": "****"}


def test_discarded_change_set_of_a_new_stack_leaves_nothing(queue_stack: Stack) -> None:
    change_set = queue_stack.propose("CREATE")

    queue_stack.client.delete_change_set(ChangeSetName=change_set["ChangeSetId"])
    queue_stack.client.delete_stack(StackName=queue_stack.name)

    def is_gone() -> bool:
        return queue_stack.name not in {each["StackName"] for each in queue_stack.client.describe_stacks()["Stacks"]}

    poll(is_gone, until=bool, deadline_seconds=20)


def test_a_backup_outlives_its_table_and_gives_back_items_and_indexes_but_no_settings(dynamodb: AwsClient) -> None:
    dynamodb.create_table(
        TableName="kept",
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=True,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "part")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_part",
                "KeySchema": [{"AttributeName": "part", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    spec = {"AttributeName": "expires_at", "Enabled": True}
    dynamodb.update_time_to_live(TableName="kept", TimeToLiveSpecification=spec)
    dynamodb.put_item(TableName="kept", Item={"id": {"S": "1"}, "part": {"S": "a"}})
    arn = dynamodb.create_backup(TableName="kept", BackupName="now.kept")["BackupDetails"]["BackupArn"]
    dynamodb.put_item(TableName="kept", Item={"id": {"S": "2"}, "part": {"S": "a"}})
    with pytest.raises(ClientError, match="protect"):
        dynamodb.delete_table(TableName="kept")
    with pytest.raises(ClientError, match="already exists"):
        dynamodb.restore_table_from_backup(TargetTableName="kept", BackupArn=arn)
    dynamodb.update_table(TableName="kept", DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName="kept")

    dynamodb.restore_table_from_backup(TargetTableName="kept", BackupArn=arn)

    found = dynamodb.query(
        TableName="kept",
        IndexName="by_part",
        KeyConditionExpression="part = :part",
        ExpressionAttributeValues={":part": {"S": "a"}},
    )
    assert [item["id"]["S"] for item in found["Items"]] == ["1"]
    assert not dynamodb.describe_table(TableName="kept")["Table"]["DeletionProtectionEnabled"]
    ttl = dynamodb.describe_time_to_live(TableName="kept")["TimeToLiveDescription"]["TimeToLiveStatus"]
    assert ttl == "DISABLED"
    told = dynamodb.list_backups(BackupType="USER")["BackupSummaries"]
    assert [(backup["TableName"], backup["BackupName"]) for backup in told] == [("kept", "now.kept")]


def test_a_restore_to_a_point_in_time_takes_the_table_as_it_is(dynamodb: AwsClient, row: dict[str, Any]) -> None:
    # Not as AWS does it: of a second of the past, tests on the emulator prove the way and not the content.
    dynamodb.restore_table_to_point_in_time(SourceTableName=TABLE, TargetTableName="beside", RestoreDateTime=0)
    got = dynamodb.get_item(TableName="beside", Key={"id": row["id"]})
    assert got["Item"] == row
    dynamodb.delete_table(TableName="beside")


def test_nobody_calls_a_function_whose_concurrency_is_zero(session: AwsClient, tmp_path: Path) -> None:
    functions = session.client("lambda")
    code = tmp_path / "code.zip"
    with ZipFile(code, "w") as archive:
        archive.writestr("code.py", "def handler(event, context):\n    print('called')\n    return 1\n")
    role = "arn:aws:iam::000000000000:role/any"
    functions.create_function(
        FunctionName="stopped",
        Runtime="python3.11",
        Handler="code.handler",
        Role=role,
        Code={"ZipFile": code.read_bytes()},
    )
    functions.put_function_concurrency(FunctionName="stopped", ReservedConcurrentExecutions=0)
    with pytest.raises(functions.exceptions.TooManyRequestsException):
        functions.invoke(FunctionName="stopped")
    functions.delete_function_concurrency(FunctionName="stopped")
    assert functions.invoke(FunctionName="stopped")["Payload"].read() == b"1"
