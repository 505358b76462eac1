import re
import subprocess
import sys
from pathlib import Path

import pytest

from bundle import Bundle
from chalicelib.domain.dead_letter import MAX_RECEIVES
from chalicelib.domain.figures import DriftCheck, Record
from chalicelib.services.tell_figures import standing
from tests.builders import NOW
from tests.merged_template import Part, functions, maps_in, of_type, queue_sources
from tests.world import World

FOUR_DAYS, FOURTEEN_DAYS = 345_600, 1_209_600
AGEING = {"SegmentsTable", "MessagesTable", "StatsTable", "ControlTable", "ImportsTable", "AuditTable"}
KEYS = {
    "ClientsTable": ["id"],
    "SuppressionsTable": ["part", "phone"],
    "AudienceTable": ["part", "client_id"],
    "MailingsTable": ["id"],
    "SegmentsTable": ["mailing_id", "segment"],
    "MessagesTable": ["id"],
    "StatsTable": ["mailing_id", "counter"],
    "ControlTable": ["name"],
    "ImportsTable": ["id", "part"],
    "AuditTable": ["month", "id"],
}


@pytest.fixture(scope="session")
def queues(template: Part) -> dict[str, Part]:
    return of_type(template, "AWS::SQS::Queue")


@pytest.fixture(scope="session")
def tables(template: Part) -> dict[str, Part]:
    return of_type(template, "AWS::DynamoDB::Table")


def test_no_intrinsic_function_has_a_second_key(template: Part) -> None:
    broken = [
        part
        for part in maps_in(template)
        if len(part) > 1 and any(key == "Ref" or key.startswith("Fn::") for key in part)
    ]

    assert broken == []


def test_nothing_is_left_of_what_the_template_must_replace(bundle: Bundle) -> None:
    assert "replaced-by-infra-template" not in bundle.template.read_text()


def test_template_passes_cfn_lint(bundle: Bundle) -> None:
    linted = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), "--template", str(bundle.template)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (linted.returncode, linted.stdout) == (0, "")


def test_every_queue_has_a_dead_letter_queue_of_its_own(queues: dict[str, Part]) -> None:
    for name, queue in queues.items():
        if name.endswith("Dlq"):
            assert queue["MessageRetentionPeriod"] == FOURTEEN_DAYS
            assert queue["RedriveAllowPolicy"]["redrivePermission"] in {"byQueue", "denyAll"}
            continue
        dead_letters = name.replace("Queue", "Dlq")
        assert queue["RedrivePolicy"] == {
            "deadLetterTargetArn": {"Fn::GetAtt": [dead_letters, "Arn"]},
            "maxReceiveCount": MAX_RECEIVES,
        }
        assert queue["MessageRetentionPeriod"] == FOUR_DAYS
        (source,) = queues[dead_letters]["RedriveAllowPolicy"]["sourceQueueArns"]
        assert source["Fn::Sub"].endswith(":" + queue["QueueName"]["Fn::Sub"])


def test_visibility_timeout_is_six_times_the_function_s(template: Part, queues: dict[str, Part]) -> None:
    for function, queue, _ in queue_sources(template):
        assert queues[queue]["VisibilityTimeout"] >= 6 * functions(template)[function]["Timeout"]


def test_queues_are_encrypted_and_refuse_plain_http(template: Part, queues: dict[str, Part]) -> None:
    policies = of_type(template, "AWS::SQS::QueuePolicy")

    # A queue has one policy: the last that is set.
    assert sorted(queue["Ref"] for policy in policies.values() for queue in policy["Queues"]) == sorted(queues)
    for name, policy in policies.items():
        refusal = policy["PolicyDocument"]["Statement"][-1]
        if template["Resources"][name].get("Condition") != "TlsRequired":
            condition, refusal, otherwise = refusal["Fn::If"]
            assert (condition, otherwise) == ("TlsRequired", {"Ref": "AWS::NoValue"})
        assert (refusal["Effect"], refusal["Action"]) == ("Deny", "sqs:*")
        assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert template["Parameters"]["RequireTls"]["Default"] == "true"
    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())


def test_files_to_import_are_private_encrypted_and_forgotten(template: Part) -> None:
    ((name, bucket),) = of_type(template, "AWS::S3::Bucket").items()
    (policy,) = of_type(template, "AWS::S3::BucketPolicy").values()
    (refusal,) = policy["PolicyDocument"]["Statement"]
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]

    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 3)
    assert (policy["Bucket"], refusal["Effect"], refusal["Action"]) == ({"Ref": name}, "Deny", "s3:*")
    assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert template["Resources"][name]["DeletionPolicy"] == "Retain"


def test_only_our_bucket_may_tell_of_uploads(template: Part) -> None:
    ((name, bucket),) = of_type(template, "AWS::S3::Bucket").items()
    (told,) = bucket["NotificationConfiguration"]["QueueConfigurations"]
    allowed, _ = template["Resources"]["ImportQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert told == {"Event": "s3:ObjectCreated:*", "Queue": {"Fn::GetAtt": ["ImportQueue", "Arn"]}}
    assert template["Resources"][name]["DependsOn"] == "ImportQueuePolicy"
    assert (allowed["Action"], allowed["Resource"]) == ("sqs:SendMessage", told["Queue"])
    source = allowed["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert source.endswith(f":::{bucket['BucketName']['Fn::Sub']}")
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


def test_tables_have_their_keys(tables: dict[str, Part]) -> None:
    assert {name: [key["AttributeName"] for key in table["KeySchema"]] for name, table in tables.items()} == KEYS


def test_tables_outlive_the_stack_and_can_be_restored(template: Part, tables: dict[str, Part]) -> None:
    for name, table in tables.items():
        resource = template["Resources"][name]
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}
        assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert template["Parameters"]["DeletionProtection"]["Default"] == "true"


def test_rows_of_mailings_and_kept_answers_age(tables: dict[str, Part]) -> None:
    ageing = {name: table.get("TimeToLiveSpecification") for name, table in tables.items()}

    assert {name for name, ttl in ageing.items() if ttl} == AGEING
    assert all(ageing[name] == {"AttributeName": "expires_at", "Enabled": True} for name in AGEING)


def test_status_stands_in_no_key_of_a_message(tables: dict[str, Part]) -> None:
    attributes = {item["AttributeName"] for item in tables["MessagesTable"]["AttributeDefinitions"]}

    assert attributes == {"id", "mailing_shard", "client_id", "due_shard", "due_at"}


@pytest.mark.parametrize("table", ["ClientsTable", "MessagesTable", "StatsTable"])
def test_hot_tables_can_be_warmed_before_a_large_mailing(tables: dict[str, Part], table: str) -> None:
    warmed = [tables[table], *tables[table].get("GlobalSecondaryIndexes", [])]

    assert all("Fn::If" in part["WarmThroughput"] for part in warmed)


TOLD_EACH_MINUTE = {
    "BreakerOpenSeconds",
    "DispatcherMinutes",
    "DriftCheckAgeSeconds",
    "OverdueSeconds",
    "TokenExpiresInSeconds",
    "UnplannedSeconds",
}


def test_what_alarms_watch_is_told_by_the_dispatcher() -> None:
    world = World()
    world.figures.stored = Record(token_expires_at=NOW, drift=DriftCheck(NOW, 0, {}))
    assert standing(world.read_figures()()).keys() >= TOLD_EACH_MINUTE


def test_a_dispatcher_that_says_nothing_is_an_alarm(template: Part) -> None:
    alarm = template["Resources"]["DispatcherSilentAlarm"]["Properties"]

    assert (alarm["TreatMissingData"], alarm["Statistic"], alarm["Period"]) == ("breaching", "Sum", 300)


def test_alarms_watch_dead_letters_age_errors_the_token_and_counters(template: Part, queues: dict[str, Part]) -> None:
    alarms = of_type(template, "AWS::CloudWatch::Alarm").values()
    watched = {
        (alarm["MetricName"], *dimension["Value"].get("Fn::GetAtt", [dimension["Value"].get("Ref")])[:1])
        if isinstance(dimension["Value"], dict)
        else (alarm["MetricName"], dimension["Value"])
        for alarm in alarms
        for dimension in alarm["Dimensions"]
    }

    assert watched == {
        *(("ApproximateNumberOfMessagesVisible", name) for name in queues if name.endswith("Dlq")),
        *(("ApproximateAgeOfOldestMessage", name) for name in queues if not name.endswith("Dlq")),
        ("Errors", "Sender"),
        ("BreakerOpened", "vestnik"),
        ("Errors", "DriftCheck"),
        ("ProviderTokenRefused", "vestnik"),
        ("CounterDrift", "vestnik"),
        ("ReportFailed", "vestnik"),
        *((metric, "vestnik") for metric in TOLD_EACH_MINUTE),
    }
    assert all(alarm["AlarmActions"]["Fn::If"][0] == "AlarmTopicGiven" for alarm in alarms)


def test_queries_that_span_functions_read_the_logs_of_all_of_them(template: Part) -> None:
    groups = sorted(of_type(template, "AWS::Logs::LogGroup"))
    queries = of_type(template, "AWS::Logs::QueryDefinition")

    assert {
        query["Name"]["Fn::Sub"].partition("/")[2]: sorted(group["Ref"] for group in query["LogGroupNames"])
        for query in queries.values()
    } == {
        **dict.fromkeys(("mailing", "message", "client", "request"), groups),
        "provider-errors": ["SenderLogs"],
        "slow-calls": ["ApiLogs", "SenderLogs"],
    }
    assert {template["Resources"][name]["Condition"] for name in queries} == {"QueriesSaved"}


def test_queries_are_made_of_commands_that_there_are(template: Part) -> None:
    commands = {"fields", "filter", "stats", "sort", "limit"}
    for name, query in of_type(template, "AWS::Logs::QueryDefinition").items():
        text = query["QueryString"]
        parts = [part.strip() for part in text.split("|")]
        assert {part.split()[0] for part in parts} <= commands, name
        assert re.fullmatch(r"limit [0-9]{1,4}", parts[-1]), name
        assert (text.count('"') % 2, text.count("(")) == (0, text.count(")")), name


def test_the_provider_s_token_is_given_or_made_up_and_never_shown(template: Part) -> None:
    assert template["Parameters"]["ProviderToken"]["NoEcho"] is True
    secret = template["Resources"]["ProviderTokenSecret"]["Properties"]
    given = ["ProviderTokenGiven", {"Ref": "ProviderToken"}, {"Ref": "AWS::NoValue"}]
    assert secret["SecretString"]["Fn::If"] == given
    assert secret["GenerateSecretString"]["Fn::If"][0] == "ProviderTokenGiven"


def test_what_vestnik_signs_with_is_made_up_and_known_to_nobody(template: Part) -> None:
    secret = template["Resources"]["SigningKeySecret"]["Properties"]

    assert "SecretString" not in secret
    assert secret["GenerateSecretString"] == {"PasswordLength": 64, "ExcludePunctuation": True}


def test_the_scrape_secret_is_made_up_without_the_dots_of_an_access_token(template: Part) -> None:
    secret = template["Resources"]["ScrapeSecretSecret"]["Properties"]

    made_up = secret["GenerateSecretString"]["Fn::If"][2]
    assert "." in made_up["ExcludeCharacters"]
    assert made_up["ExcludePunctuation"] is True
