import importlib

import pytest

from infra.host import functions as module
from infra.host.functions import Source, functions
from infra.host.schedule import Schedule
from tests.merged_template import Part, of_type, queue_sources
from tests.merged_template import functions as packaged


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the real app.py, and no variable above the template's defaults."""
    for name in ("PLAN", "SENDER", "EXPRESS", "IMPORT"):
        monkeypatch.delenv(f"{name}_CONCURRENCY", raising=False)
    functions.cache_clear()


def test_they_are_those_that_are_deployed(template: Part) -> None:
    deployed = {
        properties["FunctionName"]["Fn::Sub"].removeprefix("${AWS::StackName}-"): (
            properties["Handler"],
            properties["Timeout"],
            properties["MemorySize"],
        )
        for properties in packaged(template).values()
    }

    assert {
        name: (f"app.{function.handler}", function.timeout_seconds, function.memory_mb)
        for name, function in functions().items()
    } == deployed


def test_handlers_are_there_to_be_called() -> None:
    app = importlib.import_module("app")

    assert all(callable(getattr(app, function.handler)) for function in functions().values())


def test_queues_call_with_the_batches_and_as_often_as_deployed(template: Part) -> None:
    parameters = template["Parameters"]
    deployed = sorted(
        (
            source["BatchSize"],
            parameters[source["ScalingConfig"]["MaximumConcurrency"]["Ref"]]["Default"],
            template["Globals"]["Function"]["Environment"]["Variables"][f"{queue[:-5].upper()}_QUEUE_URL"]["Ref"],
        )
        for _, queue, source in queue_sources(template)
    )
    found = sorted(
        (source.batch_size, source.concurrency, f"{source.url_variable.removesuffix('_QUEUE_URL').title()}Queue")
        for function in functions().values()
        for source in function.sources
    )

    assert found == deployed
    assert len(found) == len(of_type(template, "AWS::SQS::Queue")) // 2 - 1, "each but the two that AWS writes to"


def test_concurrency_may_be_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDER_CONCURRENCY", "9")

    assert functions()["sender"].sources == [Source("SEND_QUEUE_URL", 10, 9), Source("EXPRESS_QUEUE_URL", 10, 5)]


def test_schedules_are_those_that_are_deployed_and_have_a_next_time(template: Part) -> None:
    deployed = [
        event["Properties"]["Schedule"]
        for properties in packaged(template).values()
        for event in properties.get("Events", {}).values()
        if event["Type"] == "Schedule"
    ]
    found = [expression for function in module.with_schedules() for expression in function.schedules]

    assert sorted(found) == sorted(deployed) == ["cron(0 3 * * ? *)", "cron(0/15 * * * ? *)", "rate(1 minute)"]
    assert all(Schedule.of(expression) for expression in found)
