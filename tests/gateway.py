"""The API as API Gateway calls it."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import boto3

from app import app
from infra.host.gateway_event import proxy_event
from tests.documented import assert_documented

SIGNING_KEY = "a-key-of-tests"


def signing_key(name: str) -> None:
    boto3.client("secretsmanager").create_secret(Name=name, SecretString=SIGNING_KEY)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str
    several: dict[str, list[str]] = field(default_factory=dict)

    @property
    def cookies(self) -> list[str]:
        """List the cookies that it sets, each with its attributes."""
        return self.several.get("Set-Cookie") or [text for name, text in self.headers.items() if name == "Set-Cookie"]

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was answered
        return json.loads(self.text)

    @property
    def fields(self) -> list[str]:
        """Name the fields that a 422 names."""
        return [error["field"] for error in self.json["errors"]]


@dataclass(frozen=True)
class Gateway:
    """Makes of a call the event that API Gateway would, routes included, and of the return value an answer.

    Each answer is held against the OpenAPI document.
    """

    token: str | None = None
    milliseconds: int = 29_000  # that the function has left

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: str | bytes | None = None,
        headers: dict[str, str] | None = None,
        route: str | None = None,
    ) -> Answer:
        parts = urlsplit(path)
        given = {"authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None or raw is not None:
            given["content-type"] = "application/json"
        content = json.dumps(body) if body is not None else raw
        event = proxy_event(
            app.routes, method, parts.path, parts.query, given | (headers or {}), None, "192.0.2.1", stage="api"
        )
        event["body"] = base64.b64encode(content).decode() if isinstance(content, bytes) else content
        event["isBase64Encoded"] = isinstance(content, bytes)
        event["requestContext"]["requestId"] = "4f8a1f0e-0000-4000-8000-000000000001"
        route = route or event["resource"]
        event["requestContext"]["resourcePath"] = event["resource"] = route
        answer = app(event, SimpleNamespace(get_remaining_time_in_millis=lambda: self.milliseconds))
        assert_documented(method, route, answer["statusCode"], answer["headers"], answer["body"])
        return Answer(answer["statusCode"], answer["headers"], answer["body"], answer.get("multiValueHeaders", {}))

    def pages(self, path: str, limit: int) -> Iterator[list[Any]]:
        """Read a list page by page."""
        joint = "&" if "?" in path else "?"
        cursor = ""
        while True:
            answer = self("GET", f"{path}{joint}limit={limit}{cursor}")
            assert answer.status == 200, answer.text
            yield answer.json["items"]
            if answer.json["next"] is None:
                return
            cursor = f"&cursor={answer.json['next']}"
