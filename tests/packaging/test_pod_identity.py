"""What pods of an EKS cluster may take of the functions' roles."""

import json
import re
from pathlib import Path

from tests.kubernetes import HOST
from tests.merged_template import Part, functions, of_type, written_out

GUIDE = Path(__file__).parents[2] / "docs/KUBERNETES.md"
OF_PODS = {"ApiRole", "PlanSegmentRole", "SenderRole", "ImporterRole"}
OF_THE_CLOCK = ["PlannerRole", "DispatcherRole", "DriftCheckRole", "DailyReportRole"]
POD = {
    "Effect": "Allow",
    "Principal": {"Service": "pods.eks.amazonaws.com"},
    "Action": ["sts:AssumeRole", "sts:TagSession"],
}
FUNCTION = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: all inline policies of a role together,
# white space not counted.
INLINE_POLICIES_MAX = 10_240


class Longest(dict[str, str]):
    """The longest names that one would give."""

    def __missing__(self, resource: str) -> str:
        return f"arn:aws-us-gov:sqs:ap-northeast-3:{'0' * 12}:{'v' * 40}-{resource}"


LONGEST = Longest(
    {
        "AWS::StackName": "v" * 40,  # with `-plan-segment` a function's name has 53 characters of 64
        "AWS::Partition": "aws-us-gov",
        "AWS::Region": "ap-northeast-3",
        "AWS::AccountId": "0" * 12,
        "ReportSender": "a" * 64 + "@" + "b" * 60 + ".example",
        "Domain": "b" * 60 + ".example",
    }
)


def trust(template: Part, role: str) -> list[object]:
    statements: list[object] = of_type(template, "AWS::IAM::Role")[role]["AssumeRolePolicyDocument"]["Statement"]
    return statements


def test_pods_may_take_roles_only_where_they_are_let(template: Part) -> None:
    assert template["Parameters"]["PodsAssumeRoles"]["Default"] == "false"
    assert template["Conditions"]["PodsAllowed"] == {"Fn::Equals": [{"Ref": "PodsAssumeRoles"}, "true"]}
    for role in (function["Role"]["Fn::GetAtt"][0] for function in functions(template).values()):
        for_pods = [{"Fn::If": ["PodsAllowed", POD, {"Ref": "AWS::NoValue"}]}] if role in OF_PODS else []
        assert trust(template, role) == [FUNCTION, *for_pods], role


def test_the_clock_has_the_rights_of_the_functions_that_it_runs_and_no_function_has_its_role(template: Part) -> None:
    roles = of_type(template, "AWS::IAM::Role")
    clock = template["Resources"]["ClockRole"]

    assert clock["Condition"] == "PodsAllowed"
    assert trust(template, "ClockRole") == [POD]
    assert clock["Properties"]["Policies"] == [policy for role in OF_THE_CLOCK for policy in roles[role]["Policies"]]
    assert OF_PODS | set(OF_THE_CLOCK) == {
        function["Role"]["Fn::GetAtt"][0] for function in functions(template).values()
    }, "a new function is run by a pod of its own or by the clock"


def test_the_guide_has_each_pod_take_the_role_of_what_it_runs(template: Part) -> None:
    (pairs,) = re.findall(r"^for pair in (.*); do$", GUIDE.read_text(), re.MULTILINE)
    roles = {
        name.removeprefix("${AWS::StackName}-"): function["Role"]["Fn::GetAtt"][0]
        for function in functions(template).values()
        for name in [function["FunctionName"]["Fn::Sub"]]
    }

    assert dict(pair.split(":") for pair in pairs.split()) == {
        name: "ClockRole" if name == "clock" else roles[name.removeprefix("worker-")] for name in HOST
    }


def test_no_role_has_more_inline_policy_than_aws_allows(template: Part) -> None:
    apart = of_type(template, "AWS::IAM::Policy").values()
    for name, role in of_type(template, "AWS::IAM::Role").items():
        documents = [policy["PolicyDocument"] for policy in role["Policies"]]
        documents += [policy["PolicyDocument"] for policy in apart if f'"Ref": "{name}"' in json.dumps(policy["Roles"])]
        size = sum(len(json.dumps(written_out(each, LONGEST), separators=(",", ":"))) for each in documents)
        assert size <= INLINE_POLICIES_MAX, name
