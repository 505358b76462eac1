import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from chalicelib.config import ReportTuning, Settings, Tuning, parse
from chalicelib.errors import ConfigurationError
from stages import parameter_name
from tests.merged_template import Part, functions, of_type, queue_sources

ROLES = {
    "APIHandler": "ApiRole",
    "Planner": "PlannerRole",
    "PlanSegment": "PlanSegmentRole",
    "Sender": "SenderRole",
    "Importer": "ImporterRole",
    "Dispatcher": "DispatcherRole",
    "DriftCheck": "DriftCheckRole",
    "DailyReport": "DailyReportRole",
}
NAMES = {
    "APIHandler": "api",
    "Planner": "planner",
    "PlanSegment": "plan-segment",
    "Sender": "sender",
    "Importer": "importer",
    "Dispatcher": "dispatcher",
    "DriftCheck": "drift-check",
    "DailyReport": "daily-report",
}

PERFORMANCE = Path(__file__).parents[2] / "docs/PERFORMANCE.md"


def sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}


def test_each_function_has_its_name_and_a_role_of_its_own(template: Part) -> None:
    made = functions(template)

    assert {name: function["FunctionName"] for name, function in made.items()} == {
        name: sub(f"${{AWS::StackName}}-{suffix}") for name, suffix in NAMES.items()
    }
    assert {name: function["Role"] for name, function in made.items()} == {
        name: {"Fn::GetAtt": [role, "Arn"]} for name, role in ROLES.items()
    }


def test_each_function_logs_to_a_group_that_forgets(template: Part) -> None:
    groups = of_type(template, "AWS::Logs::LogGroup").values()

    assert sorted(group["LogGroupName"]["Fn::Sub"] for group in groups) == sorted(
        f"/aws/lambda/${{AWS::StackName}}-{suffix}" for suffix in NAMES.values()
    )
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups)


def test_each_function_has_the_memory_and_the_timeout_that_the_table_of_measurements_gives_reasons_for(
    template: Part,
) -> None:
    rows = re.findall(r"^\| ([a-z_]+) \| ([\d,]+) \| \d+ \|.*?\| (\d+) s \| \S", PERFORMANCE.read_text(), re.MULTILINE)

    assert {name: (int(megabytes.replace(",", "")), int(seconds)) for name, megabytes, seconds in rows} == {
        NAMES[name].replace("-", "_"): (function["MemorySize"], function["Timeout"])
        for name, function in functions(template).items()
    }


def test_api_gives_up_when_api_gateway_does(template: Part) -> None:
    assert functions(template)["APIHandler"]["Timeout"] <= 29


def test_dispatcher_runs_each_minute(template: Part) -> None:
    (event,) = functions(template)["Dispatcher"]["Events"].values()

    assert (event["Type"], event["Properties"]["Schedule"]) == ("Schedule", "rate(1 minute)")


def test_counters_are_checked_each_night_for_as_long_as_it_takes(template: Part) -> None:
    function = functions(template)["DriftCheck"]
    (event,) = function["Events"].values()

    assert (event["Type"], event["Properties"]["Schedule"]) == ("Schedule", "cron(0 3 * * ? *)")
    assert function["Timeout"] == 900


def test_report_is_looked_after_each_quarter_of_an_hour_and_what_fails_is_kept(template: Part) -> None:
    function = functions(template)["DailyReport"]
    (event,) = function["Events"].values()

    assert (event["Type"], event["Properties"]["Schedule"]) == ("Schedule", "cron(0/15 * * * ? *)")
    assert function["EventInvokeConfig"] == {
        "MaximumRetryAttempts": 2,
        "DestinationConfig": {"OnFailure": {"Type": "SQS", "Destination": {"Fn::GetAtt": ["ReportDlq", "Arn"]}}},
    }
    assert function["Timeout"] <= 60, "Lambda calls again after a minute, when the claim of a dead call must be over"


def test_environment_is_the_settings(template: Part) -> None:
    variables = template["Globals"]["Function"]["Environment"]["Variables"]

    assert set(variables) == {name.upper() for name in Settings.model_fields | ReportTuning.model_fields}
    assert not any("Environment" in function for function in functions(template).values())


@pytest.mark.parametrize("variable", [name.upper() for name in Tuning.model_fields])
def test_each_tunable_setting_is_a_parameter_with_the_code_s_default(template: Part, variable: str) -> None:
    parameter = parameter_name(variable)

    assert unconstrained(template["Parameters"][parameter]) == {"Type": "String", "Default": ""}
    assert template["Globals"]["Function"]["Environment"]["Variables"][variable] == {"Ref": parameter}


def test_no_parameter_is_a_setting_that_the_code_does_not_know(template: Part) -> None:
    settings = {
        name
        for name, declared in template["Parameters"].items()
        if unconstrained(declared) == {"Type": "String", "Default": ""}
    }

    assert settings == {parameter_name(name.upper()) for name in Tuning.model_fields}


def unconstrained(declared: Part) -> Part:
    return {name: value for name, value in declared.items() if name not in {"AllowedPattern", "ConstraintDescription"}}


@pytest.mark.parametrize(
    ("variable", "value", "fits"),
    [
        ("REPORT_SENDER", "reports@vestnik.example", True),
        ("REPORT_SENDER", "reports", False),
        ("REPORT_SENDER", "a@vestnik.example,b@vestnik.example", False),
        ("REPORT_SENDER", "Vestnik <reports@vestnik.example>", False),
        ("REPORT_RECIPIENTS", "a.b+c@one.example", True),
        ("REPORT_RECIPIENTS", "a@one.example, b@two.example", True),
        ("REPORT_RECIPIENTS", ",".join(f"a{n}@one.example" for n in range(50)), True),
        ("REPORT_RECIPIENTS", ",".join(f"a{n}@one.example" for n in range(51)), False),
        ("REPORT_RECIPIENTS", "a@one.example,", False),
        ("REPORT_RECIPIENTS", "a@one.example;b@two.example", False),
        ("REPORT_RECIPIENTS", "a@b@one.example", False),
        ("REPORT_RECIPIENTS", "a@example", False),
        ("REPORT_RECIPIENTS", "a@one.example\nBcc: b@two.example", False),
        ("REPORT_HOUR", "0", True),
        ("REPORT_HOUR", "08", True),
        ("REPORT_HOUR", "23", True),
        ("REPORT_HOUR", "24", False),
        ("REPORT_HOUR", "-1", False),
        ("REPORT_HOUR", "8:30", False),
        ("REPORT_ZONE", "Europe/Moscow", True),
        ("REPORT_ZONE", "Etc/GMT+3", True),
        ("REPORT_ZONE", "+05:45", True),
        ("REPORT_ZONE", "+5", False),
        ("REPORT_ZONE", "Europe/Moscow Europe/Paris", False),
        ("REPORT_LANGUAGE", "ru", True),
        ("REPORT_LANGUAGE", "de", False),
    ],
)
def test_settings_of_the_report_are_refused_by_the_template_as_by_the_code(
    template: Part, variable: str, value: str, *, fits: bool
) -> None:
    pattern = template["Parameters"][parameter_name(variable)]["AllowedPattern"]
    given = {"PROVIDER_URL": "http://127.0.0.1", "REPORT_SENDER": "reports@vestnik.example", variable: value}
    with nullcontext() if fits else pytest.raises(ConfigurationError, match=variable):
        parse(Tuning, given)

    assert bool(re.fullmatch(pattern, value)) == fits
    assert re.fullmatch(pattern, ""), "empty means the default"


def test_recipients_need_a_sender(template: Part) -> None:
    (rule,) = template["Rules"].values()

    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ReportRecipients"}, ""]}]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ReportSender"}, ""]}]}
    with pytest.raises(ConfigurationError, match=r"REPORT_RECIPIENTS: .*REPORT_SENDER"):
        parse(Tuning, {"PROVIDER_URL": "http://127.0.0.1", "REPORT_RECIPIENTS": "a@one.example"})


def test_queues_call_their_functions(template: Part) -> None:
    assert sorted((function, queue) for function, queue, _ in queue_sources(template)) == [
        ("Importer", "ImportQueue"),
        ("PlanSegment", "PlanQueue"),
        ("Sender", "ExpressQueue"),
        ("Sender", "SendQueue"),
    ]


def test_one_parameter_takes_queues_and_schedules_away_and_leaves_starts_to_a_clock(template: Part) -> None:
    events = [
        (event["Type"], event["Properties"])
        for function in functions(template).values()
        for event in function.get("Events", {}).values()
    ]
    wanted = {
        "SQS": ("Enabled", {"Fn::If": ["Triggered", True, False]}),
        "Schedule": ("State", {"Fn::If": ["Triggered", "ENABLED", "DISABLED"]}),
    }

    assert sorted(kind for kind, _ in events) == ["SQS"] * 4 + ["Schedule"] * 3
    assert all(properties[wanted[kind][0]] == wanted[kind][1] for kind, properties in events)
    assert template["Conditions"]["Triggered"] == {"Fn::Equals": [{"Ref": "Triggers"}, "true"]}
    assert template["Parameters"]["Triggers"]["Default"] == "true"
    started_by = template["Globals"]["Function"]["Environment"]["Variables"]["MAILINGS_STARTED_BY"]
    assert started_by == {"Fn::If": ["Triggered", "scheduler", "clock"]}


def test_only_failed_tickets_of_a_batch_come_back(template: Part) -> None:
    responses = [source["FunctionResponseTypes"] for _, _, source in queue_sources(template)]

    assert responses == [["ReportBatchItemFailures"]] * 4


def test_concurrency_of_each_source_is_bounded_by_a_parameter(template: Part) -> None:
    limits = {queue: source["ScalingConfig"] for _, queue, source in queue_sources(template)}

    expected: dict[str, Any] = {
        "PlanQueue": {"MaximumConcurrency": {"Ref": "PlanConcurrency"}},
        "SendQueue": {"MaximumConcurrency": {"Ref": "SenderConcurrency"}},
        "ExpressQueue": {"MaximumConcurrency": {"Ref": "ExpressConcurrency"}},
        "ImportQueue": {"MaximumConcurrency": {"Ref": "ImportConcurrency"}},
    }
    assert limits == expected


def test_traces_are_made_only_where_they_are_asked_for(template: Part) -> None:
    assert template["Conditions"]["TracingActive"] == {"Fn::Equals": [{"Ref": "Tracing"}, "Active"]}
    mode = {"Fn::If": ["TracingActive", "Active", "PassThrough"]}
    assert all(function["Tracing"] == mode for function in functions(template).values())
    api = template["Resources"]["RestAPI"]["Properties"]
    assert api["TracingEnabled"] == {"Fn::If": ["TracingActive", True, False]}


def test_unknown_paths_and_methods_reach_the_api_function(template: Part) -> None:
    paths = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]

    for path in ("/", "/{proxy+}"):
        assert set(paths[path]) == {"get", "head", "post", "put", "patch", "delete", "options"}
        for operation in paths[path].values():
            integration = operation["x-amazon-apigateway-integration"]
            assert integration["type"] == "aws_proxy"
            assert "${APIHandler.Arn}" in integration["uri"]["Fn::Sub"]


def test_calls_of_the_api_are_throttled_by_parameters(template: Part) -> None:
    (settings,) = template["Resources"]["RestAPI"]["Properties"]["MethodSettings"]

    assert settings == {
        "HttpMethod": "*",
        "ResourcePath": "/*",
        "ThrottlingRateLimit": {"Ref": "ThrottleRate"},
        "ThrottlingBurstLimit": {"Ref": "ThrottleBurst"},
    }
    assert [template["Parameters"][name]["Default"] for name in ("ThrottleRate", "ThrottleBurst")] == [500, 1000]


@pytest.mark.parametrize(
    ("kind", "status"), [("DEFAULT_4XX", None), ("DEFAULT_5XX", None), ("THROTTLED", 429), ("REQUEST_TOO_LARGE", 413)]
)
def test_what_the_gateway_refuses_by_itself_is_a_problem(template: Part, kind: str, status: int | None) -> None:
    body = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    answer = body["x-amazon-apigateway-gateway-responses"][kind]
    headers = {name.rpartition(".")[2]: value for name, value in answer["responseParameters"].items()}
    # The gateway quotes the message itself.
    problem = json.loads(answer["responseTemplates"]["application/json"].replace("$context.error.messageString", '""'))

    assert headers["Content-Type"] == "'application/problem+json'"
    assert headers["X-Request-Id"] == "context.requestId", "in quotes it would be a text"
    assert headers["X-Content-Type-Options"] == "'nosniff'"
    assert headers.get("Retry-After") == ("'1'" if kind == "THROTTLED" else None)
    assert {"type", "title", "instance", "request_id"} <= problem.keys()
    assert problem.get("status") == status
    assert answer.get("statusCode") == (str(status) if status else None)
