from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from chalicelib.adapters import message_repository
from chalicelib.adapters.dynamodb import Item
from chalicelib.domain.message import Outcome
from tests.faults.call_sites import Site, find_sites
from tests.faults.injected_faults import Fault
from tests.faults.run_call_sites import UNREACHABLE, Case, Recording, brew, play, record, run, uncovered
from tests.faults.sandbox import Sandbox, sandbox
from tests.faults.site_scenarios import SCENARIOS, Scenario

SEED = 7
SITES = sorted(find_sites() - UNREACHABLE.keys())


@pytest.fixture(scope="module")
def on() -> Iterator[Sandbox]:
    with sandbox() as made:
        yield made


@pytest.fixture(scope="module")
def recording(on: Sandbox) -> Recording:
    return record(on)


def case_of(recording: Recording, use: str, kind: str) -> Case:
    """Find a case by the end of its use's name."""
    return next(case for case in recording.cases() if str(case.use).endswith(use) and case.kind.name == kind)


def test_without_a_fault_every_promise_is_kept(recording: Recording) -> None:
    assert recording.findings == ()


def test_every_call_of_aws_in_the_code_is_reached_and_known(recording: Recording) -> None:
    assert uncovered(recording) == []


@pytest.mark.parametrize("site", SITES, ids=str)
def test_an_error_at_a_call_breaks_no_promise(on: Sandbox, recording: Recording, site: Site) -> None:
    # One of the many cases of each site; `make faults` runs all of them.
    (result,) = run(on, [case for case in recording.sample() if case.use.site == site])

    assert result.findings == (), f"{result.what}\n{result.log}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_many_errors_at_once_break_no_promise(on: Sandbox, scenario: Scenario) -> None:
    (result,) = brew(on, [SEED], [scenario])

    assert result.findings == (), result.log


def test_an_error_that_leaves_an_adapter_as_the_vendor_made_it_is_found(
    on: Sandbox, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(recording, "DynamoMessageRepository.due Query < DispatchDue._shard", "no connection")
    monkeypatch.setattr(message_repository, "translated", nullcontext)

    findings = play(on, case.scenario, Fault(case.use, case.kind))

    assert any("not translated: ConnectTimeoutError" in found for found in findings)


def test_a_write_that_takes_effect_twice_is_found(
    on: Sandbox, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(recording, "record TransactWriteItems < _Run._flush", "answer lost")
    puts = message_repository.DynamoMessageRepository._puts

    def unconditionally(self: message_repository.DynamoMessageRepository, outcomes: list[Outcome]) -> Iterator[Item]:
        for put in puts(self, outcomes):
            yield {"Put": {name: put["Put"][name] for name in ("TableName", "Item")}}

    monkeypatch.setattr(message_repository.DynamoMessageRepository, "_puts", unconditionally)

    assert play(on, case.scenario) == []
    assert any(found.startswith("drift") for found in play(on, case.scenario, Fault(case.use, case.kind)))


def test_a_fault_that_is_never_reached_is_found(on: Sandbox, recording: Recording) -> None:
    case = case_of(recording, "release BatchExecuteStatement < _Run._give_back", "throttled")
    other = case_of(recording, "find_by_phones BatchGetItem < ManageClients.with_phone", "throttled")

    (result,) = run(on, [replace(case, scenario=other.scenario)])

    assert result.findings == ("the fault was never reached",)


class TestFinder:
    def find(self, folder: Path, source: str, name: str = "adapters/some.py") -> set[tuple[str, str]]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source))
        return {(site.function, site.operation) for site in find_sites(folder)}

    def test_calls_of_clients_and_paginators_are_sites(self, tmp_path: Path) -> None:
        source = """
            class Some:
                def __init__(self):
                    self._client = boto3.client("sqs")

                def send(self):
                    self._client.send_message(QueueUrl="x")

                def all(self):
                    return list(self._client.get_paginator("list_queues").paginate())
        """

        assert self.find(tmp_path, source) == {("Some.send", "SendMessage"), ("Some.all", "ListQueues")}

    def test_private_helpers_count_for_whoever_uses_them(self, tmp_path: Path) -> None:
        source = """
            client = boto3.client("sqs")

            class Some:
                def send(self):
                    self._send()

                def _send(self):
                    _really()

                def _forgotten(self):
                    client.purge_queue(QueueUrl="x")

            def _really():
                client.send_message(QueueUrl="x")
        """

        assert self.find(tmp_path, source) == {("Some.send", "SendMessage"), ("Some._forgotten", "PurgeQueue")}

    def test_calls_of_models_are_sites(self, tmp_path: Path) -> None:
        source = """
            class Thing(Model):
                by_name = ByName()

            class Some:
                def get(self, id_):
                    return Thing.get(id_)

                def named(self, name):
                    return {}.get(name) or list(Thing.by_name.query(name))

                def put(self, id_):
                    made(id_).save()

                def both(self):
                    with TransactWrite() as write:
                        pass

            def made(id_) -> Thing:
                return Thing(id_)
        """

        assert self.find(tmp_path, source) == {
            ("Some.get", "GetItem"),
            ("Some.named", "Query"),
            ("Some.put", "PutItem"),
            ("Some.both", "TransactWriteItems"),
        }

    def test_the_gateway_calls_for_others(self, tmp_path: Path) -> None:
        gateway = """
            class DynamoDB:
                def __init__(self):
                    self.client = boto3.client("dynamodb")

                def write(self, items):
                    self.client.transact_write_items(TransactItems=items)
        """
        source = """
            class Some:
                def put(self):
                    self._dynamodb.write([])

                def list(self):
                    return self._dynamodb.client.query(TableName="x")
        """
        self.find(tmp_path, gateway, "adapters/dynamodb.py")

        assert self.find(tmp_path, source) == {("Some.put", "TransactWriteItems"), ("Some.list", "Query")}

    def test_reading_secrets_is_a_site(self, tmp_path: Path) -> None:
        source = """
            from aws_lambda_powertools.utilities.parameters import SecretsProvider

            class Some:
                def __init__(self):
                    self._provider = SecretsProvider()

                def token(self):
                    return self._provider.get("token")
        """

        assert self.find(tmp_path, source) == {("Some.token", "GetSecretValue")}
