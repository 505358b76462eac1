"""Change sets as describe_change_set answers them on AWS, less what nobody looks at."""

from typing import Any

import pytest

from change_table import change_lines, losses, parameter_lines

CHANGED_FUNCTION: dict[str, Any] = {
    "Action": "Modify",
    "LogicalResourceId": "Sender",
    "PhysicalResourceId": "vestnik-dev-sender",
    "ResourceType": "AWS::Lambda::Function",
    "Replacement": "False",
    "Scope": ["Properties"],
    "Details": [
        {
            "Target": {"Attribute": "Properties", "Name": "Environment", "RequiresRecreation": "Never"},
            "Evaluation": "Static",
            "ChangeSource": "ParameterReference",
            "CausingEntity": "MaxAttempts",
        },
        {
            "Target": {"Attribute": "Properties", "Name": "Environment", "RequiresRecreation": "Never"},
            "Evaluation": "Dynamic",
            "ChangeSource": "DirectModification",
        },
        {
            "Target": {"Attribute": "Tags", "RequiresRecreation": "Never"},
            "Evaluation": "Static",
            "ChangeSource": "DirectModification",
        },
    ],
}
NEW_QUEUE: dict[str, Any] = {
    "Action": "Add",
    "LogicalResourceId": "PlanQueue",
    "ResourceType": "AWS::SQS::Queue",
    "Scope": [],
    "Details": [],
}


def changed_table(**changes: str) -> dict[str, Any]:
    return {
        "Action": "Modify",
        "LogicalResourceId": "ClientsTable",
        "PhysicalResourceId": "vestnik-dev-clients",
        "ResourceType": "AWS::DynamoDB::Table",
        "Replacement": "False",
        "Scope": ["Properties"],
        "Details": [],
        **changes,
    }


def test_each_change_is_a_line_with_its_causes() -> None:
    assert list(change_lines([CHANGED_FUNCTION, NEW_QUEUE])) == [
        "action  resource   type              replaced  because of",
        "modify  Sender     Lambda::Function            Environment (MaxAttempts), Tags",
        "add     PlanQueue  SQS::Queue",
    ]


def test_what_may_be_replaced_says_so() -> None:
    perhaps = {**NEW_QUEUE, "Action": "Modify", "Replacement": "Conditional"}
    surely = {**NEW_QUEUE, "Action": "Modify", "Replacement": "True"}

    assert [line.split()[3] for line in change_lines([perhaps, surely])] == ["replaced", "perhaps", "yes"]
    assert losses([perhaps, surely, NEW_QUEUE, CHANGED_FUNCTION, changed_table()]) == []


def test_what_loses_data_comes_first() -> None:
    lines = list(change_lines([NEW_QUEUE, changed_table(Replacement="True")]))

    assert [line.split()[1] for line in lines] == ["resource", "ClientsTable", "PlanQueue"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"Replacement": "True"},
            "ClientsTable (vestnik-dev-clients) IS REPLACED by an empty one: the old one is deleted with all it holds",
        ),
        (
            {"Replacement": "Conditional", "PolicyAction": "ReplaceAndRetain"},
            (
                "ClientsTable (vestnik-dev-clients) MAY BE REPLACED by an empty one: "
                "what it holds stays, and nothing reads it any more"
            ),
        ),
        (
            {"Action": "Remove", "PolicyAction": "Delete"},
            "ClientsTable (vestnik-dev-clients) LEAVES THE STACK: it is deleted with all it holds",
        ),
        (
            {"Action": "Remove", "PolicyAction": "Retain", "ResourceType": "AWS::S3::Bucket"},
            "ClientsTable (vestnik-dev-clients) LEAVES THE STACK: what it holds stays, and nothing reads it any more",
        ),
    ],
)
def test_loss_of_a_table_or_bucket_is_said_aloud(changes: dict[str, Any], said: str) -> None:
    assert losses([changed_table(**changes)]) == [said]


DECLARED: dict[str, dict[str, Any]] = {
    "SenderConcurrency": {"Type": "Number", "Default": 5},
    "LogLevel": {"Type": "String", "Default": ""},
    "IssuerUrl": {"Type": "String", "Default": ""},
    "ProviderToken": {"Type": "String", "NoEcho": True, "Default": ""},
}


def test_parameters_are_shown_from_what_to_what() -> None:
    given = {"SenderConcurrency": "7", "LogLevel": "", "IssuerUrl": "https://issuer.example"}
    earlier = {"SenderConcurrency": "5", "LogLevel": "DEBUG", "IssuerUrl": "https://issuer.example"}

    assert list(parameter_lines(DECLARED, given, earlier)) == [
        'LogLevel           DEBUG  ->  ""',
        "SenderConcurrency  5      ->  7",
    ]


def test_parameters_of_a_new_stack_are_compared_with_defaults() -> None:
    given = {"SenderConcurrency": "5", "LogLevel": "DEBUG"}

    assert list(parameter_lines(DECLARED, given, {})) == ['LogLevel  ""  ->  DEBUG']


def test_secret_parameters_are_never_shown() -> None:
    (first,) = parameter_lines(DECLARED, {"ProviderToken": "t0ken"}, {})
    (later,) = parameter_lines(DECLARED, {"ProviderToken": "t0ken"}, {"ProviderToken": "****"})

    assert first.split() == ["ProviderToken", "->", "(hidden)"]
    assert later.split() == ["ProviderToken", "(hidden)", "->", "(hidden)"]


def test_parameter_that_the_stack_does_not_know_yet_begins_with_its_default() -> None:
    assert list(parameter_lines(DECLARED, {"SenderConcurrency": "7"}, {"LogLevel": ""})) == [
        "SenderConcurrency  5  ->  7"
    ]
