"""Where deployments in this process are made and unmade: an emulator, a provider, a clock, a wire."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache, cached_property
from io import StringIO
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parameters import SecretsProvider

from chalicelib import observability
from chalicelib.adapters.secrets import Secrets
from chalicelib.adapters.tables import TABLES, bind
from chalicelib.bootstrap import Application, application
from chalicelib.config import Settings
from chalicelib.services import hold_letters
from tests.emulator import running_emulator
from tests.faults.in_process import PREFIX, SECRET, SENDER, SOURCES, InProcess
from tests.faults.injected_faults import Wire, wired
from tests.faults.jumping_clock import NEVER_BACK_SECONDS, JumpingClock, keep_delays
from tests.faults.own_provider import OwnProvider, own_provider
from tests.tables import create_tables
from tests.tokens import trust_tests

TUNING = {
    "EXPRESS_MAX_CLIENTS": "4",
    "PLAN_SEGMENTS": "2",
    "SENDER_THREADS": "4",
    "LOG_LEVEL": "ERROR",
    # Limits that these few messages do not come to, so that all that is asked because of them is asked.
    "PROVIDER_MAX_PER_SECOND": "1000",
    "PROVIDER_MAX_IN_FLIGHT": "64",
    "BREAKER_FAILURES": "3",
    "REPORT_SENDER": SENDER,
    "REPORT_RECIPIENTS": "team@vestnik.example",
    "REPORT_HOUR": "0",
}
REMEMBER_NOTHING = frozenset({"dynamodb", "mailer", "scheduler", "tickets", "uploads"})


@dataclass
class Sandbox:
    """What deployments stand on. `log` has the lines of the latest one."""

    wire: Wire
    clock: JumpingClock
    provider: OwnProvider
    client: Callable[[str], Any]
    log: StringIO

    @contextmanager
    def deployment(self) -> Iterator[InProcess]:
        """Hand out a deployment, empty and with cold caches, while the block runs.

        The application stays the same one, since making boto3 clients takes longer than most scenarios; whatever
        remembers something is made anew.
        """
        built = application()
        for part in [name for name, value in vars(Application).items() if isinstance(value, cached_property)]:
            if part not in REMEMBER_NOTHING:
                built.__dict__.pop(part, None)
        built.clock = self.clock
        built.__dict__["secrets"] = Secrets(SecretsProvider(boto3_client=self.client("secretsmanager")))
        trust_tests(built)
        built.__dict__["check_drift"] = replace(built.check_drift, sleep=self._sleep)
        keep_delays(built.tickets._client, self.clock)
        self._empty()
        self.provider.forget()
        self.clock.at_each_look = timedelta()
        self.wire.forget()
        self.log.truncate(0)
        self.log.seek(0)
        try:
            yield InProcess(self.wire, self.clock, self.provider, self.client)
        finally:
            built.send_messages.executor.shutdown()
            built.import_executor.shutdown()

    def _sleep(self, seconds: float) -> None:
        """Jump in the place of waiting: most of the repair's time would be its pauses."""
        self.clock.jump(timedelta(seconds=seconds))

    def _empty(self) -> None:
        dynamodb, sqs, scheduler = (self.client(name) for name in ("dynamodb", "sqs", "scheduler"))
        for model in TABLES:
            table = model.Meta.table_name
            attributes = model.get_attributes().items()
            keys = [name for name, attribute in attributes if attribute.is_hash_key or attribute.is_range_key]
            for item in dynamodb.scan(TableName=table)["Items"]:
                dynamodb.delete_item(TableName=table, Key={key: item[key] for key in keys})
        for url in sqs.list_queues()["QueueUrls"]:
            sqs.purge_queue(QueueUrl=url)
        for file in self.client("s3").list_objects_v2(Bucket=PREFIX).get("Contents", ()):
            self.client("s3").delete_object(Bucket=PREFIX, Key=file["Key"])
        for schedule in scheduler.list_schedules(GroupName=PREFIX)["Schedules"]:
            scheduler.delete_schedule(GroupName=PREFIX, Name=schedule["Name"])


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """Have everything there while the block runs."""
    clock, log = JumpingClock(), StringIO()
    with running_emulator() as session, own_provider(clock) as provider, pytest.MonkeyPatch.context() as patch:
        client = cache(session.client)
        for name, value in (_resources(client) | TUNING | {"PROVIDER_URL": provider.url}).items():
            patch.setenv(name, value)
        patch.setattr(observability.logger.logger_handler, "stream", log)
        # Letters wait by the emulator's clock, which does not jump: one that was not given back shows itself sooner.
        patch.setattr(hold_letters, "HOLD", timedelta(seconds=5))
        create_tables(PREFIX)
        application.cache_clear()
        try:
            with wired() as wire:
                yield Sandbox(wire, clock, provider, client, log)
        finally:
            application.cache_clear()
            bind("unbound")
            observability.configure("INFO")


def _resources(client: Callable[[str], Any]) -> dict[str, str]:
    """Make what the template makes beside tables; returns the settings that name it."""
    sqs, secrets = client("sqs"), client("secretsmanager")
    client("scheduler").create_schedule_group(Name=PREFIX)
    client("s3").create_bucket(Bucket=PREFIX)
    for function in ("api", "drift-check"):
        client("logs").create_log_group(logGroupName=f"/aws/lambda/{PREFIX}-{function}")
    sqs.create_queue(QueueName=f"{PREFIX}-scheduler-dlq")
    for source in SOURCES:
        sqs.create_queue(QueueName=f"{PREFIX}-{source}-dlq")
        sqs.create_queue(QueueName=f"{PREFIX}-{source}", Attributes={"VisibilityTimeout": str(NEVER_BACK_SECONDS)})
    settings = {}
    for name in (name for name, about in Settings.model_fields.items() if about.is_required()):
        settings[name.upper()] = PREFIX
        if name.endswith("_url"):
            queue = name.removesuffix("_url").removesuffix("_queue").replace("_", "-")
            settings[name.upper()] = f"{sqs.meta.endpoint_url}/000000000000/{PREFIX}-{queue}"
        elif name.endswith("_secret"):
            secrets.create_secret(Name=f"{PREFIX}/{name}", SecretString=SECRET)
            settings[name.upper()] = f"{PREFIX}/{name}"
    return settings
