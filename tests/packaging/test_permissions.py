import re
from collections.abc import Iterator

import pytest

from chalicelib.adapters.claim_repository import PREFIX as CLAIM_PREFIX
from chalicelib.adapters.figure_repository import SERVICE
from chalicelib.adapters.kept_answers import PREFIX
from chalicelib.adapters.report_claims import PREFIX as REPORT_PREFIX
from chalicelib.domain.journal import FUNCTIONS
from tests.merged_template import Part, functions, of_type

SCHEDULES = "schedule/${AWS::StackName}/*"  # mailings name their schedules
UPLOADS = "-imports-${AWS::AccountId}-${AWS::Region}/*"  # imports name their objects
LOG_STREAMS = r"log-group:/aws/lambda/\$\{AWS::StackName\}-[a-z-]+:\*"  # Lambda names the streams
CLOCK_ROLE = {
    "Fn::If": ["PodsAllowed", {"Ref": "ClockRole"}, {"Ref": "AWS::NoValue"}]
}  # does the work of four functions
SECRET_SUFFIX = "-??????"  # Secrets Manager ends an ARN with six letters of its own


def statements(template: Part, role: str | None = None) -> Iterator[Part]:
    for name, properties in of_type(template, "AWS::IAM::Role").items():
        if role in {None, name}:
            for policy in properties["Policies"]:
                yield from policy["PolicyDocument"]["Statement"]


def as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def resources_allowed(template: Part, role: str, prefix: str) -> set[str]:
    return {
        action
        for statement in statements(template, role)
        for action in map(str, as_list(statement["Action"]))
        if action.startswith(prefix)
    }


def test_no_role_allows_an_action_by_wildcard(template: Part) -> None:
    actions = [str(action) for statement in statements(template) for action in as_list(statement["Action"])]

    assert not [action for action in actions if "*" in action]
    assert all(re.fullmatch(r"[a-z0-9]+:[A-Za-z]+", action) for action in actions)


def test_each_resource_is_named(template: Part) -> None:
    for statement in statements(template):
        for resource in as_list(statement["Resource"]):
            assert isinstance(resource, dict), resource
            if "Fn::GetAtt" in resource:
                continue
            arn = resource["Fn::Sub"]
            rest = re.sub(LOG_STREAMS, "", arn.replace(SCHEDULES, "").removesuffix(UPLOADS).removesuffix(SECRET_SUFFIX))
            assert not re.search(r"[*?]", rest), arn
            assert "${AWS::StackName}" in arn


def test_traces_are_sent_by_all_functions_and_only_where_they_are_wanted(template: Part) -> None:
    policy = template["Resources"]["TracingPolicy"]
    roles = [role["Ref"] for role in policy["Properties"]["Roles"] if role != CLOCK_ROLE]

    assert policy["Condition"] == "TracingActive"
    assert sorted(roles) == sorted(function["Role"]["Fn::GetAtt"][0] for function in functions(template).values())
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]


def test_no_role_holds_a_managed_policy(template: Part) -> None:
    roles = of_type(template, "AWS::IAM::Role")

    assert not [name for name, role in roles.items() if "ManagedPolicyArns" in role]
    assert len(roles) == 10


@pytest.mark.parametrize(
    "function", ["api", "planner", "plan-segment", "sender", "importer", "dispatcher", "drift-check"]
)
def test_each_function_writes_to_its_own_log_only(template: Part, function: str) -> None:
    role = "".join(word.capitalize() for word in function.split("-")) + "Role"
    groups = [
        resource["Fn::Sub"].rpartition("log-group:")[2]
        for statement in statements(template, role)
        if "logs:PutLogEvents" in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        if isinstance(resource, dict)
    ]

    assert groups == [f"/aws/lambda/${{AWS::StackName}}-{function}:*"]
    reads = {"logs:FilterLogEvents"} if function in {"api", "daily-report"} else set()
    assert resources_allowed(template, role, "logs:") == {"logs:CreateLogStream", "logs:PutLogEvents"} | reads


def test_the_api_reads_the_logs_of_the_functions_and_no_others(template: Part) -> None:
    (groups,) = (
        [resource["Fn::Sub"].rpartition("log-group:")[2] for resource in statement["Resource"]]
        for statement in statements(template, "ApiRole")
        if statement["Action"] == ["logs:FilterLogEvents"]
    )

    assert groups == [f"/aws/lambda/${{AWS::StackName}}-{function}:*" for function in FUNCTIONS]


def test_the_report_may_write_its_own_items_and_send_from_its_sender_and_nothing_else(template: Part) -> None:
    reads = {"Query", "GetQueueAttributes", "FilterLogEvents"}
    doing = {
        action: statement
        for statement in statements(template, "DailyReportRole")
        for action in map(str, as_list(statement["Action"]))
        if action.partition(":")[2] not in reads and not action.startswith("logs:")
    }
    mail = template["Resources"]["DailyReportMailPolicy"]["Properties"]
    (sending,) = mail["PolicyDocument"]["Statement"]
    address, domain = sending["Resource"]

    assert doing.keys() == {"dynamodb:UpdateItem", "sqs:SendMessage"}
    assert doing["dynamodb:UpdateItem"]["Condition"] == {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{REPORT_PREFIX}#*"]}
    }
    assert doing["sqs:SendMessage"]["Resource"] == {"Fn::GetAtt": ["ReportDlq", "Arn"]}
    assert (mail["Roles"], sending["Action"]) == ([{"Ref": "DailyReportRole"}, CLOCK_ROLE], ["ses:SendRawEmail"])
    assert address["Fn::Sub"].endswith(":identity/${ReportSender}")
    assert domain["Fn::Sub"][1] == {"Domain": {"Fn::Select": [1, {"Fn::Split": ["@", {"Ref": "ReportSender"}]}]}}
    assert template["Resources"]["DailyReportMailPolicy"]["Condition"] == "ReportSenderGiven"


def test_check_of_counters_may_write_nothing_but_counters(template: Part) -> None:
    writes = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLUpdate", "PartiQLInsert"}
    writing = [
        (action, str(statement["Resource"]["Fn::Sub"]).rpartition("-")[2])
        for statement in statements(template, "DriftCheckRole")
        for action in map(str, as_list(statement["Action"]))
        if action.partition(":")[2] in writes
    ]

    assert writing == [("dynamodb:UpdateItem", "stats")]


def test_the_api_may_write_of_what_senders_share_its_own_items_only(template: Part) -> None:
    writing = [
        statement
        for statement in statements(template, "ApiRole")
        if str(statement["Resource"]).count("-control") and statement["Action"] != ["dynamodb:GetItem"]
    ]

    assert [(statement["Action"], statement["Condition"]) for statement in writing] == [
        (
            ["dynamodb:BatchGetItem", "dynamodb:PartiQLInsert"],
            {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{CLAIM_PREFIX}#*"]}},
        ),
        (
            ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
            {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{PREFIX}#*"]}},
        ),
    ]


def test_who_changes_rows_may_claim_their_bundles_and_unclaim_none(template: Part) -> None:
    for role in ("ApiRole", "PlanSegmentRole", "SenderRole", "ImporterRole"):
        (claiming,) = (each for each in statements(template, role) if "dynamodb:PartiQLInsert" in each["Action"])

        assert claiming["Action"] == ["dynamodb:BatchGetItem", "dynamodb:PartiQLInsert"]
        assert str(claiming["Resource"]).count("-control") == 1
        assert claiming["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{CLAIM_PREFIX}#*"]}}


def test_the_dispatcher_may_write_of_counters_what_is_kept_for_figures_only(template: Part) -> None:
    (writing,) = (
        statement
        for statement in statements(template, "DispatcherRole")
        if str(statement["Resource"]).count("-stats") and statement["Action"] != ["dynamodb:Query"]
    )

    assert writing["Action"] == ["dynamodb:UpdateItem"]
    assert writing["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [SERVICE]}}


def test_queue_consumers_may_consume(template: Part) -> None:
    consume = {
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ChangeMessageVisibility",
    }

    assert consume <= resources_allowed(template, "PlanSegmentRole", "sqs:")
    assert consume <= resources_allowed(template, "SenderRole", "sqs:")
    assert consume <= resources_allowed(template, "ImporterRole", "sqs:")


def test_the_api_may_take_from_dead_letter_queues_and_from_no_others(template: Part) -> None:
    taken = [
        resource["Fn::GetAtt"][0]
        for statement in statements(template, "ApiRole")
        if "sqs:ReceiveMessage" in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        if isinstance(resource, dict)
    ]

    assert sorted(taken) == ["ExpressDlq", "ImportDlq", "PlanDlq", "SchedulerDlq", "SendDlq"]


def test_files_are_written_for_the_api_and_read_by_the_importer(template: Part) -> None:
    allowed = {role: resources_allowed(template, role, "s3:") for role in of_type(template, "AWS::IAM::Role")}

    assert {role: actions for role, actions in allowed.items() if actions} == {
        "ApiRole": {"s3:PutObject"},
        "ImporterRole": {"s3:GetObject", "s3:ListBucket"},
    }


def test_the_importer_may_write_what_its_rows_concern_and_nothing_else(template: Part) -> None:
    allowed = {
        str(statement["Resource"]["Fn::Sub"]).partition("${AWS::StackName}-")[2]: {
            str(action).removeprefix("dynamodb:") for action in as_list(statement["Action"])
        }
        for statement in statements(template, "ImporterRole")
        if str(as_list(statement["Action"])[0]).startswith("dynamodb:")
    }

    assert allowed == {
        "clients": {"BatchGetItem", "PutItem", "ConditionCheckItem"},
        "audience": {"PutItem", "DeleteItem"},
        "suppressions": {"BatchGetItem", "PutItem", "ConditionCheckItem"},
        "mailings": {"GetItem", "PutItem"},
        "messages": {"BatchGetItem", "PutItem"},
        "messages/index/by_client": {"Query"},
        "stats": {"UpdateItem", "Query"},
        "imports": {"BatchGetItem", "PutItem", "UpdateItem"},
        "control": {"BatchGetItem", "PartiQLInsert"},  # claims on bundles of rows
    }


def test_only_the_scheduler_role_may_be_passed_and_only_to_the_scheduler(template: Part) -> None:
    passing = [statement for statement in statements(template) if "iam:PassRole" in as_list(statement["Action"])]

    assert passing
    for statement in passing:
        assert statement["Resource"] == {"Fn::GetAtt": ["SchedulerRole", "Arn"]}
        assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}


def test_scheduler_may_start_the_planner_and_bury_what_fails(template: Part) -> None:
    role = template["Resources"]["SchedulerRole"]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert resources_allowed(template, "SchedulerRole", "") == {"lambda:InvokeFunction", "sqs:SendMessage"}


def test_each_function_reads_only_its_own_secret(template: Part) -> None:
    secrets = {
        role: [
            str(resource["Fn::Sub"]).rpartition("/")[2]
            for statement in statements(template, role)
            if "secretsmanager:GetSecretValue" in as_list(statement["Action"])
            for resource in as_list(statement["Resource"])
            if isinstance(resource, dict)
        ]
        for role in of_type(template, "AWS::IAM::Role")
    }

    assert {role: names for role, names in secrets.items() if names} == {
        "ApiRole": ["signing-key-??????", "pages-client-secret-??????", "scrape-secret-??????"],
        "SenderRole": ["provider-token-??????"],
    }
