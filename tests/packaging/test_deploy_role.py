"""infra/deploy-role.yaml, held against what a deployment of the packaged template asks for."""

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import FOLDER, SECRETS, parameter_name
from tests.merged_template import Part, of_type

ACCOUNT, REGION = "123456789012", "eu-central-1"
FILE = Path(__file__).parents[2] / "infra" / "deploy-role.yaml"
LONGEST_POLICY = 6144  # characters, white space apart: IAM's quota of a managed policy

TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/vestnik-dev-clients"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:vestnik-dev-send"
BUCKET = f"arn:aws:s3:::vestnik-dev-imports-{ACCOUNT}-{REGION}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/vestnik-dev-SenderRole-1A2B3C"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:vestnik-dev-sender"
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/vestnik-dev-DispatcherDispatcherEvent-1A2B3C"
ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:vestnik-dev-SenderErrorsAlarm-1A2B3C"
GROUP = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/vestnik-dev"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:vestnik-dev/provider-token-AbCdEf"
LOGS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/vestnik-dev-sender"
STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/vestnik-dev/1a2b3c"
API = f"arn:aws:apigateway:{REGION}::/restapis/abc123/deployments"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/vestnik-boundary"

WITHIN = {"iam:PermissionsBoundary": BOUNDARY}
TO_LAMBDA = {"iam:PassedToService": "lambda.amazonaws.com"}
OF_OURS = {"lambda:FunctionArn": FUNCTION}

# What CloudFormation calls to make, change and delete a resource of the type, by the handlers' schemas:
# https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
Asked = tuple[str, str, Mapping[str, str]]
NEEDED: dict[str, list[Asked]] = {
    "AWS::DynamoDB::Table": [
        *(
            (f"dynamodb:{action}", TABLE, {})
            for action in ("CreateTable", "DescribeTable", "UpdateTable", "UpdateTimeToLive", "UpdateContinuousBackups")
        ),
    ],
    "AWS::SQS::Queue": [
        *((f"sqs:{action}", QUEUE, {}) for action in ("CreateQueue", "DeleteQueue", "GetQueueAttributes")),
        ("sqs:SetQueueAttributes", QUEUE, {}),
    ],
    "AWS::SQS::QueuePolicy": [("sqs:SetQueueAttributes", QUEUE, {})],
    "AWS::S3::Bucket": [
        ("s3:CreateBucket", BUCKET, {}),
        ("s3:PutEncryptionConfiguration", BUCKET, {}),
        ("s3:PutLifecycleConfiguration", BUCKET, {}),
        ("s3:PutBucketNotification", BUCKET, {}),
        ("s3:PutBucketPublicAccessBlock", BUCKET, {}),
        ("s3:PutBucketOwnershipControls", BUCKET, {}),
    ],
    "AWS::S3::BucketPolicy": [("s3:PutBucketPolicy", BUCKET, {}), ("s3:DeleteBucketPolicy", BUCKET, {})],
    "AWS::IAM::Role": [
        ("iam:CreateRole", ROLE, WITHIN),
        ("iam:PutRolePolicy", ROLE, WITHIN),
        ("iam:DeleteRolePolicy", ROLE, WITHIN),
        ("iam:GetRole", ROLE, {}),
        ("iam:DeleteRole", ROLE, {}),
    ],
    "AWS::IAM::Policy": [("iam:PutRolePolicy", ROLE, WITHIN), ("iam:DeleteRolePolicy", ROLE, WITHIN)],
    "AWS::Serverless::Function": [
        *(
            (f"lambda:{action}", FUNCTION, {})
            for action in (
                "CreateFunction",
                "GetFunction",
                "UpdateFunctionCode",
                "UpdateFunctionConfiguration",
                "DeleteFunction",
                "AddPermission",
                "RemovePermission",
                "PutFunctionEventInvokeConfig",
            )
        ),
        ("lambda:CreateEventSourceMapping", "*", OF_OURS),
        ("lambda:DeleteEventSourceMapping", "*", OF_OURS),
        ("iam:PassRole", ROLE, TO_LAMBDA),
        ("events:PutRule", RULE, {}),
        ("events:PutTargets", RULE, {}),
        ("events:RemoveTargets", RULE, {}),
        ("events:DeleteRule", RULE, {}),
    ],
    "AWS::Serverless::Api": [(f"apigateway:{method}", API, {}) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")],
    "AWS::Lambda::Permission": [("lambda:AddPermission", FUNCTION, {}), ("lambda:RemovePermission", FUNCTION, {})],
    "AWS::Logs::LogGroup": [
        ("logs:CreateLogGroup", LOGS, {}),
        ("logs:PutRetentionPolicy", LOGS, {}),
        ("logs:DeleteLogGroup", LOGS, {}),
        ("logs:DescribeLogGroups", "*", {}),
    ],
    "AWS::Logs::QueryDefinition": [("logs:PutQueryDefinition", "*", {}), ("logs:DeleteQueryDefinition", "*", {})],
    "AWS::CloudWatch::Alarm": [("cloudwatch:PutMetricAlarm", ALARM, {}), ("cloudwatch:DeleteAlarms", ALARM, {})],
    "AWS::Scheduler::ScheduleGroup": [
        ("scheduler:CreateScheduleGroup", GROUP, {}),
        ("scheduler:GetScheduleGroup", GROUP, {}),
        ("scheduler:DeleteScheduleGroup", GROUP, {}),
    ],
    "AWS::SecretsManager::Secret": [
        ("secretsmanager:CreateSecret", SECRET, {}),
        ("secretsmanager:UpdateSecret", SECRET, {}),
        ("secretsmanager:DeleteSecret", SECRET, {}),
        ("secretsmanager:GetRandomPassword", "*", {}),
    ],
}


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms; !Sub is made plain."""


def _sub(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    text = str(loader.construct_scalar(node))
    known = {
        "AWS::Partition": "aws",
        "AWS::AccountId": ACCOUNT,
        "AWS::Region": REGION,
    }
    for name, value in known.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def _other(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    text = str(loader.construct_scalar(node))  # type: ignore[arg-type]
    return BOUNDARY if text == "Boundary" else text


_Loader.add_constructor("!Sub", _sub)
_Loader.add_multi_constructor("!", _other)

ROLE_TEMPLATE: dict[str, Any] = yaml.load(FILE.read_text(), Loader=_Loader)  # noqa: S506 - a SafeLoader with tags


def statements(*policies: str) -> Iterator[dict[str, Any]]:
    for policy in policies:
        yield from ROLE_TEMPLATE["Resources"][policy]["Properties"]["PolicyDocument"]["Statement"]


def as_list(part: object) -> list[Any]:
    return part if isinstance(part, list) else [part]


def applies(statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Tell whether a statement speaks of the call: as IAM does, for the conditions that the file has."""
    if not any(fnmatchcase(action, pattern) for pattern in as_list(statement["Action"])):
        return False
    if not any(fnmatchcase(resource, pattern) for pattern in as_list(statement["Resource"])):
        return False
    return all(
        key in context and any(fnmatchcase(context[key], wanted) for wanted in as_list(values))
        for condition in statement.get("Condition", {}).values()
        for key, values in condition.items()
    )


def allowed(action: str, resource: str, context: Mapping[str, str], *policies: str) -> bool:
    speaking = [each for each in statements(*policies) if applies(each, action, resource, context)]
    return bool(speaking) and all(each["Effect"] == "Allow" for each in speaking)


def deployer_may(action: str, resource: str, context: Mapping[str, str] | None = None) -> bool:
    return allowed(action, resource, context or {}, "DeployStacks", "DeployResources")


def test_deployer_may_make_each_resource_of_the_template(template: Part) -> None:
    types = {resource["Type"] for resource in template["Resources"].values()}

    assert types == set(NEEDED), "say here what CloudFormation calls for a type, and allow it"
    refused = [asked for type_ in types for asked in NEEDED[type_] if not deployer_may(*asked)]
    assert refused == []


def test_deployer_may_do_what_make_deploy_and_make_destroy_call() -> None:
    serverless = f"arn:aws:cloudformation:{REGION}:aws:transform/Serverless-2016-10-31"
    artifacts = f"arn:aws:s3:::vestnik-artifacts-{ACCOUNT}-{REGION}"
    calls = [
        *(
            (f"cloudformation:{action}", STACK)
            for action in (
                "CreateChangeSet",
                "DescribeChangeSet",
                "ExecuteChangeSet",
                "DeleteChangeSet",
                "DescribeStacks",
                "DescribeStackEvents",
                "DescribeEvents",
                "DeleteStack",
            )
        ),
        ("cloudformation:CreateChangeSet", serverless),
        ("s3:ListBucket", artifacts),
        ("s3:GetObject", f"{artifacts}/1a2b.zip"),
        ("s3:PutObject", f"{artifacts}/1a2b.zip"),
        ("s3:ListAllMyBuckets", "*"),
        ("s3:ListBucket", BUCKET),
        ("dynamodb:ListTables", "*"),
        ("dynamodb:DescribeTable", TABLE),
        ("iam:GetPolicy", BOUNDARY),
    ]

    assert [call for call in calls if not deployer_may(*call)] == []


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("dynamodb:DeleteTable", TABLE, {}),
        ("dynamodb:Scan", TABLE, {}),
        ("dynamodb:GetItem", TABLE, {}),
        ("dynamodb:PutItem", TABLE, {}),
        ("dynamodb:UpdateTable", TABLE.replace("vestnik-dev", "payments"), {}),
        ("s3:GetObject", f"{BUCKET}/file.csv", {}),
        ("s3:DeleteBucket", BUCKET, {}),
        ("s3:DeleteObject", f"arn:aws:s3:::vestnik-artifacts-{ACCOUNT}-{REGION}/1a2b.zip", {}),
        ("s3:CreateBucket", f"arn:aws:s3:::payments-imports-{ACCOUNT}-{REGION}", {}),
        ("sqs:ReceiveMessage", QUEUE, {}),
        ("sqs:PurgeQueue", QUEUE, {}),
        ("lambda:InvokeFunction", FUNCTION, {}),
        ("lambda:UpdateFunctionCode", FUNCTION.replace("vestnik-dev", "payments"), {}),
        ("lambda:CreateEventSourceMapping", "*", {"lambda:FunctionArn": FUNCTION.replace("vestnik-dev", "payments")}),
        ("iam:CreateRole", ROLE, {}),
        ("iam:CreateRole", ROLE, {"iam:PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/other"}),
        ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/payments", WITHIN),
        ("iam:PutRolePolicy", ROLE, {}),
        ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/vestnik-deployer", WITHIN),
        ("iam:AttachRolePolicy", ROLE, WITHIN),
        ("iam:DeleteRolePermissionsBoundary", ROLE, WITHIN),
        ("iam:CreatePolicyVersion", BOUNDARY, {}),
        ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/vestnik-me", {}),
        ("iam:PassRole", ROLE, {"iam:PassedToService": "ec2.amazonaws.com"}),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin", TO_LAMBDA),
        ("cloudformation:DeleteStack", STACK.replace("vestnik-dev", "payments"), {}),
        ("secretsmanager:GetSecretValue", SECRET.replace("vestnik-dev", "payments"), {}),
        ("ec2:RunInstances", "*", {}),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/admin", {}),
    ],
)
def test_deployer_may_not(action: str, resource: str, context: dict[str, str]) -> None:
    assert not deployer_may(action, resource, context)


def test_no_policy_allows_all_of_a_service_or_is_longer_than_iam_takes() -> None:
    for policy in ("DeployStacks", "DeployResources", "Boundary"):
        document = ROLE_TEMPLATE["Resources"][policy]["Properties"]["PolicyDocument"]
        wide = [
            action
            for statement in document["Statement"]
            for action in as_list(statement["Action"])
            if statement["Effect"] == "Allow" and action.partition(":")[2] in {"", "*"}
        ]
        assert wide == []
        assert len(json.dumps(document, separators=(",", ":"))) < LONGEST_POLICY


def test_every_role_of_the_template_is_made_within_the_boundary(template: Part) -> None:
    bounds = {name: role.get("PermissionsBoundary") for name, role in of_type(template, "AWS::IAM::Role").items()}

    bounded = {
        "Fn::If": [
            "BoundaryGiven",
            {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/${RoleBoundary}"},
            {"Ref": "AWS::NoValue"},
        ]
    }
    assert {name for name, bound in bounds.items() if bound != bounded} == set()


def test_boundary_leaves_each_role_what_its_policies_allow(template: Part) -> None:
    refused = [
        (action, resource)
        for statement in _granted(template)
        for action in as_list(statement["Action"])
        for resource in map(_example, as_list(statement["Resource"]))
        if not allowed(action, resource, {"iam:PassedToService": "scheduler.amazonaws.com"}, "Boundary")
    ]

    assert refused == []


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreateRole", ROLE),
        ("dynamodb:DeleteTable", TABLE),
        ("dynamodb:GetItem", TABLE.replace("vestnik-dev", "payments")),
        ("secretsmanager:GetSecretValue", SECRET.replace("vestnik-dev", "payments")),
        ("lambda:UpdateFunctionCode", FUNCTION),
        ("s3:GetObject", f"arn:aws:s3:::vestnik-artifacts-{ACCOUNT}-{REGION}/1a2b.zip"),
    ],
)
def test_no_role_within_the_boundary_can_be_allowed(action: str, resource: str) -> None:
    assert not allowed(action, resource, {}, "Boundary")


def test_only_whom_the_parameters_name_may_become_the_deployer() -> None:
    trust = ROLE_TEMPLATE["Resources"]["DeployRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    (_, principal, _), (_, gitlab, _) = trust

    assert principal["Principal"] == {"AWS": "TrustedPrincipal"}
    assert gitlab["Principal"] == {"Federated": "OidcProviderArn"}
    assert gitlab["Condition"] == {
        "StringEquals": {"gitlab.com:aud": "OidcAudience"},
        "StringLike": {"gitlab.com:sub": "OidcSubject"},
    }
    assert "*" not in ROLE_TEMPLATE["Parameters"]["OidcSubject"]["Default"]


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.json")), ids=lambda file: file.stem)
def test_stage_s_file_names_parameters_of_the_template_and_no_secret(template: Part, file: Path) -> None:
    said = json.loads(file.read_text())

    assert set(said) <= set(template["Parameters"])
    assert not set(said) & set(map(parameter_name, SECRETS))
    assert all(isinstance(value, str) for value in said.values())
    for name, value in said.items():
        assert value in template["Parameters"][name].get("AllowedValues", [value])


def test_every_secret_of_the_template_comes_from_the_environment(template: Part) -> None:
    hidden = {name for name, declared in template["Parameters"].items() if declared.get("NoEcho")}

    assert hidden == set(map(parameter_name, SECRETS))


def _granted(template: Part) -> Iterator[dict[str, Any]]:
    for role in of_type(template, "AWS::IAM::Role").values():
        for policy in role["Policies"]:
            yield from policy["PolicyDocument"]["Statement"]
    for policy in of_type(template, "AWS::IAM::Policy").values():
        yield from policy["PolicyDocument"]["Statement"]


def _example(resource: object) -> str:
    """Return an ARN that a statement of the template names in a stack vestnik-dev."""
    if isinstance(resource, str):
        return resource
    assert isinstance(resource, dict)
    if attribute := resource.get("Fn::GetAtt"):
        return ROLE if attribute[0].endswith("Role") else FUNCTION if attribute[0] == "Planner" else QUEUE
    said = resource["Fn::Sub"]
    text = str(said if isinstance(said, str) else said[0])
    for name, value in {"Partition": "aws", "Region": REGION, "AccountId": ACCOUNT, "StackName": "vestnik-dev"}.items():
        text = text.replace(f"${{AWS::{name}}}", value)
    return text
