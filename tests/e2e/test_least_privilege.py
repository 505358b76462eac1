"""IAM as the emulator enforces it: the main job with the functions' own roles, a deployment as the deployer."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from tests.e2e.steps import create_mailing, finished, load_clients
from tests.running_stack import RunningStack, poll

ROOT = Path(__file__).parents[2]
ACCOUNT = "000000000000"
STACK = "vestnik-bounded"
DEADLINE_SECONDS = 180
DENIED = {"AccessDenied", "AccessDeniedException"}
SERVICES = ("cloudformation", "dynamodb", "iam", "lambda", "s3", "secretsmanager", "sqs")


class Principal:
    """Somebody with credentials of a role: `environ` for programs, clients for tests."""

    def __init__(self, stack: RunningStack, credentials: Mapping[str, str]) -> None:
        self.environ = {
            "AWS_ENDPOINT_URL": stack.info.aws_endpoint_url,
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials.get("SessionToken", ""),
        }
        session = boto3.Session(
            self.environ["AWS_ACCESS_KEY_ID"],
            self.environ["AWS_SECRET_ACCESS_KEY"],
            self.environ["AWS_SESSION_TOKEN"] or None,
            region_name=stack.info.region,
        )
        self.clients = {
            name: session.client(name, endpoint_url=stack.info.aws_endpoint_url)  # type: ignore[call-overload]
            for name in SERVICES
        }

    def is_denied(self, service: str, operation: str, **arguments: Any) -> bool:  # noqa: ANN401 - boto3's
        """Make the call; tell whether IAM refused it. Other errors are errors."""
        try:
            getattr(self.clients[service], operation)(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] in DENIED:
                return True
            raise
        return False

    def deploy(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Deploy the stage dev."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        program = [sys.executable, str(ROOT / "infra/local/deploy.py"), "dev", "--yes"]
        return subprocess.run(
            program,
            env={**kept, **self.environ, "STACK_NAME": STACK, **variables},
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )


def role_of(stack: RunningStack, function: str) -> str:
    configuration = stack.client("lambda").get_function_configuration(
        FunctionName=f"{stack.info.stack_name}-{function}"
    )
    return str(configuration["Role"])


def acting_as(stack: RunningStack, role_arn: str) -> Principal:
    """Take a role. That of a function trusts Lambda alone, in whose place the emulator takes root."""
    answer = stack.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="test")
    return Principal(stack, answer["Credentials"])


@pytest.fixture(scope="module")
def sender(stack: RunningStack) -> Principal:
    return acting_as(stack, role_of(stack, "sender"))


@pytest.fixture(scope="module")
def deployer(stack: RunningStack) -> Iterator[Principal]:
    """The role of infra/deploy-role.yaml, which somebody who may has made. What it deploys goes at the end."""
    cloudformation = stack.client("cloudformation")
    cloudformation.create_stack(
        StackName="vestnik-deploy",
        TemplateBody=(ROOT / "infra/deploy-role.yaml").read_text(),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[
            {"ParameterKey": "TrustedPrincipal", "ParameterValue": f"arn:aws:iam::{ACCOUNT}:root"},
            {"ParameterKey": "MakeArtifactsBucket", "ParameterValue": "false"},  # `make up` has made it
        ],
    )
    made = poll(
        lambda: cloudformation.describe_stacks(StackName="vestnik-deploy")["Stacks"][0],
        until=lambda made: not made["StackStatus"].endswith("_IN_PROGRESS"),
        deadline_seconds=30,
    )
    assert made["StackStatus"] == "CREATE_COMPLETE"
    outputs = {each["OutputKey"]: each["OutputValue"] for each in made["Outputs"]}
    yield acting_as(stack, outputs["RoleArn"])
    for name in (STACK, "vestnik-deploy"):
        cloudformation.delete_stack(StackName=name)


@pytest.fixture(scope="module")
def deployed(stack: RunningStack, deployer: Principal) -> str:
    """What the deployer said of deploying."""
    done = deployer.deploy(PROVIDER_URL=stack.info.provider_url, ISSUER_URL=stack.info.issuer_url)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_main_job_passes_with_each_function_s_own_role(stack: RunningStack) -> None:
    crowd = load_clients(stack, 30, "privileged")

    statistics = finished(stack, create_mailing(stack, "privileged"))

    assert statistics["messages"]["sent"] == len(crowd)


def test_sender_reads_its_secret_and_the_control_table(stack: RunningStack, sender: Principal) -> None:
    prefix = stack.info.stack_name

    assert not sender.is_denied("secretsmanager", "get_secret_value", SecretId=f"{prefix}/provider-token")
    assert not sender.is_denied("dynamodb", "get_item", TableName=f"{prefix}-control", Key={"name": {"S": "none"}})


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("secretsmanager", "get_secret_value", {"SecretId": "{prefix}/signing-key"}),
        ("secretsmanager", "put_secret_value", {"SecretId": "{prefix}/provider-token", "SecretString": "mine"}),
        ("dynamodb", "scan", {"TableName": "{prefix}-clients"}),
        ("dynamodb", "get_item", {"TableName": "{prefix}-audit", "Key": {"month": {"S": "1"}, "id": {"S": "1"}}}),
        ("dynamodb", "put_item", {"TableName": "{prefix}-clients", "Item": {"id": {"S": "intruder"}}}),
        ("dynamodb", "delete_item", {"TableName": "{prefix}-messages", "Key": {"id": {"N": "1"}}}),
        ("dynamodb", "delete_table", {"TableName": "{prefix}-clients"}),
        ("sqs", "receive_message", {"QueueUrl": "{plan_queue}"}),
        ("sqs", "purge_queue", {"QueueUrl": "{send_queue}"}),
        ("lambda", "invoke", {"FunctionName": "{prefix}-planner", "Payload": b"{}"}),
        ("s3", "list_buckets", {}),
        ("iam", "create_user", {"UserName": "intruder"}),
    ],
)
def test_call_outside_a_role_is_denied(
    stack: RunningStack, sender: Principal, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    names = {
        "{prefix}": stack.info.stack_name,
        "{plan_queue}": stack.queue_url("plan"),
        "{send_queue}": stack.queue_url("send"),
    }

    def filled(value: object) -> object:
        for name, meant in names.items():
            value = value.replace(name, meant) if isinstance(value, str) else value
        return value

    assert sender.is_denied(service, operation, **{name: filled(value) for name, value in arguments.items()})


def test_deployer_deploys_and_finds_the_boundary(stack: RunningStack, deployed: str) -> None:
    roles = [role for role in stack.client("iam").list_roles()["Roles"] if role["RoleName"].startswith(STACK)]
    (api_url,) = (line.split()[1] for line in deployed.splitlines() if line.startswith("API "))
    bearer = {"Authorization": f"Bearer {stack.token}"}

    assert ["RoleBoundary", '""', "->", "vestnik-boundary"] in [line.split() for line in deployed.splitlines()]
    assert len(roles) == 9
    assert requests.get(f"{api_url}/clients", headers=bearer, timeout=30).status_code == 200


def test_deployer_finds_nothing_to_change_afterwards(deployer: Principal, stack: RunningStack, deployed: str) -> None:
    assert deployed

    done = deployer.deploy(PROVIDER_URL=stack.info.provider_url, ISSUER_URL=stack.info.issuer_url)

    assert "no changes: the stack is as it should be" in done.stdout


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("dynamodb", "scan", {"TableName": f"{STACK}-clients"}),
        ("dynamodb", "delete_table", {"TableName": f"{STACK}-clients"}),
        ("lambda", "invoke", {"FunctionName": f"{STACK}-planner", "Payload": b"{}"}),
        ("cloudformation", "delete_stack", {"StackName": "payments"}),
        ("cloudformation", "describe_stacks", {"StackName": "payments"}),
        ("iam", "create_role", {"RoleName": "vestnik-bounded-mine", "AssumeRolePolicyDocument": "{}"}),
        ("iam", "create_user", {"UserName": "intruder"}),
        ("s3", "create_bucket", {"Bucket": "payments"}),
    ],
)
def test_deployer_is_denied_what_no_deployment_needs(
    deployer: Principal, deployed: str, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    assert deployed

    assert deployer.is_denied(service, operation, **arguments)


def test_stranger_is_told_in_one_line_that_it_may_not_deploy(stack: RunningStack) -> None:
    iam = stack.client("iam")
    iam.create_user(UserName="stranger")
    stranger = Principal(stack, iam.create_access_key(UserName="stranger")["AccessKey"])

    done = stranger.deploy(PROVIDER_URL=stack.info.provider_url)

    assert done.returncode == 1
    assert done.stderr.startswith("make deploy: not allowed: ")
    assert done.stderr.endswith("infra/deploy-role.yaml makes a role that may do it\n")
    assert len(done.stderr.splitlines()) == 1
