"""What AWS is told by `make backup` and `make restore`, where the emulator is simpler than AWS."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

import backup
import table_backups
from local_error import LocalError
from stack_tables import DeployedStack, StackTable
from table_backups import TableBackups, moment_of, name_of

AwsClient = Any  # boto3's clients are made at run time
ARN = "arn:aws:dynamodb:eu-central-1:1:table/vestnik-messages"
BACKUP = f"{ARN}/backup/01588000000000-aaaaaaaa"
KEY = {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}
MOMENT = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
TEMPLATE: dict[str, Any] = {
    "Conditions": {
        "Warm": {"Fn::Not": [{"Fn::Equals": [{"Ref": "WarmWriteUnits"}, 0]}]},
        "WarmIndexes": {"Fn::Not": [{"Fn::Equals": [{"Ref": "WarmIndexWriteUnits"}, 0]}]},
    },
    "Resources": {
        "MessagesTable": {
            "Properties": {
                "DeletionProtectionEnabled": {"Ref": "DeletionProtection"},
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
                "WarmThroughput": {
                    "Fn::If": ["Warm", {"WriteUnitsPerSecond": {"Ref": "WarmWriteUnits"}}, {"Ref": "AWS::NoValue"}]
                },
                "GlobalSecondaryIndexes": [
                    {
                        "IndexName": "by_due",
                        "WarmThroughput": {
                            "Fn::If": ["WarmIndexes", {"WriteUnitsPerSecond": 5000}, {"Ref": "AWS::NoValue"}]
                        },
                    },
                ],
            }
        }
    },
}


def deployed(**parameters: str) -> StackTable:
    given = {"DeletionProtection": "true", "WarmWriteUnits": "0", "WarmIndexWriteUnits": "0", **parameters}
    resources = {"AWS::DynamoDB::Table": {"MessagesTable": "vestnik-messages"}}
    stack = DeployedStack("vestnik", TEMPLATE, given, ({"Key": "team", "Value": "mail"},), resources)
    (table,) = stack.tables()
    return table


@pytest.fixture
def dynamodb() -> AwsClient:
    return boto3.client("dynamodb", "eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")


@pytest.fixture
def aws(dynamodb: AwsClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    monkeypatch.setattr(table_backups, "POLL_SECONDS", 0)
    with Stubber(dynamodb) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def active(aws: Stubber, status: str = "ACTIVE", **told: object) -> None:
    aws.add_response("describe_table", {"Table": {"TableStatus": status, "TableArn": ARN, **told}})


def listed(arn: str) -> dict[str, object]:
    return {"BackupName": "vestnik-20261123T100000Z.messages", "BackupArn": arn, "TableName": "any"}


def test_a_restored_table_is_given_what_the_template_wants(aws: Stubber, dynamodb: AwsClient) -> None:
    name = {"TableName": "vestnik-messages"}
    table = deployed(WarmWriteUnits="40000", WarmIndexWriteUnits="5000")
    aws.add_response("update_table", {}, {**name, "WarmThroughput": {"WriteUnitsPerSecond": 40000}})
    active(aws, "UPDATING")
    active(aws)
    index = {"IndexName": "by_due", "WarmThroughput": {"WriteUnitsPerSecond": 5000}}
    aws.add_response("update_table", {}, {**name, "GlobalSecondaryIndexUpdates": [{"Update": index}]})
    active(aws)
    aws.add_response("describe_time_to_live", {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}})
    ttl = {"AttributeName": "expires_at", "Enabled": True}
    aws.add_response("update_time_to_live", {}, {**name, "TimeToLiveSpecification": ttl})
    recovery = {**name, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
    aws.add_client_error("update_continuous_backups", "ContinuousBackupsUnavailableException", expected_params=recovery)
    aws.add_response("update_continuous_backups", {}, recovery)
    active(aws)
    aws.add_response("tag_resource", {}, {"ResourceArn": ARN, "Tags": [{"Key": "team", "Value": "mail"}]})
    aws.add_response("update_table", {}, {**name, "DeletionProtectionEnabled": True})
    active(aws)

    TableBackups(dynamodb).set_again(table)


def test_what_the_template_does_not_want_is_not_set() -> None:
    wanted = deployed(DeletionProtection="false").wanted
    assert wanted["DeletionProtectionEnabled"] == "false"
    assert "WarmThroughput" not in wanted
    assert wanted["GlobalSecondaryIndexes"] == [{"IndexName": "by_due"}]


def test_tables_of_one_second_are_restored_beside_backed_up_and_dropped(aws: Stubber, dynamodb: AwsClient) -> None:
    copy = "vestnik-messages.at.20261123T100000Z"
    aws.add_response("list_backups", {"BackupSummaries": []}, {"BackupType": "USER"})
    aws.add_client_error("describe_table", "ResourceNotFoundException")
    aws.add_response(
        "restore_table_to_point_in_time",
        {},
        {"SourceTableName": "vestnik-messages", "TargetTableName": copy, "RestoreDateTime": MOMENT},
    )
    active(aws, "CREATING")
    active(aws)
    aws.add_response("scan", {"Count": 7}, {"TableName": copy, "Select": "COUNT", "ConsistentRead": True})
    details = {"BackupArn": BACKUP, "BackupName": "x.y", "BackupType": "USER", "BackupCreationDateTime": MOMENT}
    named = {"TableName": copy, "BackupName": "vestnik-20261123T100000Z.messages"}
    aws.add_response("create_backup", {"BackupDetails": {**details, "BackupStatus": "CREATING"}}, named)
    for status in ("CREATING", "AVAILABLE"):
        told = {"BackupDetails": {**details, "BackupStatus": status, "BackupSizeBytes": 7}}
        aws.add_response("describe_backup", {"BackupDescription": told}, {"BackupArn": BACKUP})
    active(aws)
    active(aws)
    aws.add_response("delete_table", {}, {"TableName": copy})
    active(aws, "DELETING")
    aws.add_client_error("describe_table", "ResourceNotFoundException")

    name = name_of("vestnik", MOMENT)
    assert backup.back_up_as_of(TableBackups(dynamodb), [deployed()], "vestnik", name) == {"messages": BACKUP}


def test_backups_of_a_second_that_are_there_are_not_made_again(aws: Stubber, dynamodb: AwsClient) -> None:
    aws.add_response("list_backups", {"BackupSummaries": [listed(BACKUP)]}, {"BackupType": "USER"})
    aws.add_client_error("describe_table", "ResourceNotFoundException")
    aws.add_client_error("describe_table", "ResourceNotFoundException")

    name = name_of("vestnik", MOMENT)
    assert backup.back_up_as_of(TableBackups(dynamodb), [deployed()], "vestnik", name) == {"messages": BACKUP}


@mock_aws
def test_backups_one_after_the_other_share_no_name(dynamodb: AwsClient) -> None:
    backups = TableBackups(dynamodb)
    dynamodb.create_table(
        TableName="vestnik-messages",
        **KEY,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    names = []
    for _ in range(3):
        names.append(backups.unused_name("vestnik"))
        arn = backups.begin("vestnik-messages", names[-1], "messages")
        assert backups.find(names[-1]) == {"messages": arn}
    assert backups.names("vestnik") == names


def test_of_two_backups_of_one_name_none_is_taken(aws: Stubber, dynamodb: AwsClient) -> None:
    other = f"{BACKUP}b"
    aws.add_response("list_backups", {"BackupSummaries": [listed(BACKUP), listed(other)]}, {"BackupType": "USER"})
    with pytest.raises(LocalError, match=f"two backups are named .*messages; delete one of {BACKUP} and {other}"):
        TableBackups(dynamodb).find("vestnik-20261123T100000Z")


@pytest.mark.parametrize(("status", "arn", "is_it"), [("CREATING", BACKUP, True), ("CREATING", ARN, False)])
def test_a_restore_that_is_on_its_way_is_known_by_its_backup(
    aws: Stubber,
    dynamodb: AwsClient,
    status: str,
    arn: str,
    *,
    is_it: bool,
) -> None:
    summary = {"SourceBackupArn": arn, "RestoreDateTime": MOMENT, "RestoreInProgress": True}
    active(aws, status, RestoreSummary=summary)
    active(aws, status, RestoreSummary=summary)
    assert TableBackups(dynamodb).is_being_restored_from("vestnik-messages", BACKUP) is is_it


def test_waiting_ends_and_says_for_what(aws: Stubber, dynamodb: AwsClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_backups, "DEADLINE_SECONDS", -1)
    active(aws, "CREATING")
    with pytest.raises(LocalError, match=r"vestnik-messages: not there .* CREATING"):
        TableBackups(dynamodb).wait_active("vestnik-messages")


def test_a_name_tells_its_moment() -> None:
    assert moment_of("vestnik", name_of("vestnik", MOMENT)) == MOMENT
    for wrong in ("vestnik", "vestnik-2026", "other-20261123T100000Z", "vestnik-20261123T100000Z.messages"):
        with pytest.raises(LocalError, match="no name of a backup of vestnik"):
            moment_of("vestnik", wrong)


@pytest.mark.parametrize("text", ["yesterday", "2026-11-23", "2026-11-23T10:00:00"])
def test_a_moment_needs_its_zone(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        backup.main(["--at", text])
    assert "no moment with its zone" in capsys.readouterr().err
