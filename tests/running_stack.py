"""An embedded stack of a test's own, and ways to speak to it."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import requests

from embedded import EmbeddedStack, StackInfo
from hosted import call_host
from sessions import LocalSession

TIMEOUT_SECONDS = 120  # a process of a function may have to start for it, on a machine that is busy
SCHEDULE_EVENT = {
    "version": "0",
    "id": "0",
    "account": "000000000000",
    "region": "us-east-1",
    "time": "2026-01-01T00:00:00Z",
    "source": "aws.events",
    "detail-type": "Scheduled Event",
    "resources": [],
    "detail": {},
}
Seen = TypeVar("Seen")


@dataclass
class RunningStack:
    """A stack that is up: its API, its provider simulator and its AWS services.

    `at_the_end` is called once, before it ends.
    """

    embedded: EmbeddedStack
    info: StackInfo
    at_the_end: Callable[["RunningStack"], None] | None = None

    @property
    def token(self) -> str:
        """A token with every scope: of the stack's own issuer, which there must be."""
        assert self.info.token
        return self.info.token

    def request(
        self, method: str, path: str, body: object = None, *, headers: Mapping[str, str | None] | None = None
    ) -> requests.Response:
        """Call the API with the stack's token: `path` begins with a slash, `body` is sent as JSON.

        `headers` are added; None takes one away, as in {"Authorization": None}.
        """
        sent = {"Authorization": f"Bearer {self.info.token}"} | dict(headers or {})
        url = self.info.api_url + path
        return self._http.request(method, url, json=body, headers=sent, timeout=TIMEOUT_SECONDS)

    def control(self, **behaviour: object) -> None:
        """Set the whole behaviour of the provider simulator; without arguments: success."""
        url = f"{self.info.provider_url}/_control"
        self._http.post(url, json=behaviour, timeout=TIMEOUT_SECONDS).raise_for_status()

    def received(self, **params: int) -> dict[str, Any]:
        """Return what the provider simulator counted; `limit` and `id` as in its query."""
        url = f"{self.info.provider_url}/_received"
        answer = self._http.get(url, params=params, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        content: dict[str, Any] = answer.json()
        return content

    def forget_received(self) -> None:
        """Have the provider simulator count from zero."""
        self._http.delete(f"{self.info.provider_url}/_received", timeout=TIMEOUT_SECONDS).raise_for_status()

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Make an AWS client of the stack's emulator, as root."""
        return self._session.client(service)

    def queue_url(self, name: str) -> str:
        """Return the address of a queue: plan, send, express, or one with -dlq."""
        url = self.client("sqs").get_queue_url(QueueName=f"{self.info.stack_name}-{name}")["QueueUrl"]
        return str(url)

    def table_name(self, name: str) -> str:
        """Return the full name of a table."""
        return f"{self.info.stack_name}-{name}"

    def invoke(self, function: str, payload: str, *, wait: bool = True) -> bytes:
        """Call a function: planner, sender, plan-segment or dispatcher; return its answer if waited for."""
        if self.embedded.on_host:
            return call_host(self.embedded.folder, function, payload)
        answer = self.client("lambda").invoke(
            FunctionName=f"{self.info.stack_name}-{function}",
            InvocationType="RequestResponse" if wait else "Event",
            Payload=payload.encode(),
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
        return bytes(answer["Payload"].read())

    def tick(self, function: str) -> None:
        """Call a function as its schedule does, the dispatcher or a nightly one, and wait until it is done."""
        self.invoke(function, json.dumps(SCHEDULE_EVENT))

    def peak_mb(self, function: str) -> float:
        """Return the largest resident size that a process of a function has had, in megabytes, by what Linux says."""
        of_function = f"AWS_LAMBDA_FUNCTION_NAME={self.info.stack_name}-{function}"
        named = {of_function.encode(), f"AWS_ENDPOINT_URL={self.info.aws_endpoint_url}".encode()}
        peaks = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if named <= set((process / "environ").read_bytes().split(b"\0")):
                    peaks.append(int((process / "status").read_text().partition("VmHWM:")[2].split()[0]) / 1024)
            except (OSError, IndexError):
                continue  # it has ended meanwhile, or is not ours
        return max(peaks)

    @cached_property
    def _http(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # no proxy stands between two programs on loopback
        return session

    @cached_property
    def _session(self) -> LocalSession:
        return LocalSession(int(self.info.aws_endpoint_url.rpartition(":")[2]))

    def close(self) -> None:
        """End it whole. Repeating it changes nothing."""
        look, self.at_the_end = self.at_the_end, None
        try:
            if look:
                look(self)
        finally:
            self._http.close()
            self.embedded.down()


def poll(look: Callable[[], Seen], *, until: Callable[[Seen], bool], deadline_seconds: float) -> Seen:
    """Look again and again; return the first sight that is as wanted.

    Raises:
        AssertionError: there was none in time; the message holds the last sight.
    """
    deadline = time.monotonic() + deadline_seconds
    while not until(seen := look()):
        assert time.monotonic() < deadline, f"not within {deadline_seconds:g} s; at last: {seen!r}"
        time.sleep(0.2)
    return seen
