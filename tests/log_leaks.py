"""What must stand in no log: tokens and secrets, texts of messages, whole phone numbers."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.running_stack import RunningStack

# Signed (JWS) and sealed (JWE) alike, as access tokens and the cookies of sessions are.
_TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]*\.[\w-]+[\w.-]*")
# Not within an id, a fraction, or a name.
_ANY_PHONE = re.compile(r"(?<![\w.-])7[0-9]{10}(?![\w-])")
# Random numbers below 2**53: one in a million is as long as a phone, and a run of all tests sends a hundred thousand.
_MESSAGE_IDS = re.compile(r'"message_ids?": ?(?:[0-9]+|\[[0-9, ]*\])|/(?:send|messages)/[0-9]+')
_ELEVEN_DIGITS = re.compile(r"(?<![0-9])7[0-9]{10}(?![0-9])")
_SHORTEST_TEXT = 5  # shorter ones, as fuzzing makes them up, stand everywhere by chance
_SHOWN = 300


@dataclass(frozen=True)
class Confidential:
    """What a stack knows and must not log."""

    secrets: frozenset[str]
    texts: frozenset[str]
    phones: frozenset[str]

    @classmethod
    def of(cls, stack: RunningStack) -> "Confidential":
        """Read it where it is kept: secrets, the text of each mailing, deleted ones too, and the phones of clients."""
        manager = stack.client("secretsmanager")
        secrets = {manager.get_secret_value(SecretId=one["ARN"])["SecretString"] for one in _secrets(manager)}
        memory = stack.embedded.folder / "issuer.json"
        if memory.exists():
            issuer = json.loads(memory.read_text())
            secrets |= {issuer["client_secret"], issuer["session_secret"]}
        if stack.info.token:
            secrets.add(stack.info.token)
        texts = {item["text"]["S"] for item in _items(stack, "mailings")}
        texts |= {one["text"] for one in stack.received(limit=100_000)["last"] if one["text"]}
        phones = {
            item["phone"]["S"]
            for table in ("clients", "suppressions")
            for item in _items(stack, table)
            if "phone" in item
        }
        return cls(frozenset(secrets), frozenset(texts), frozenset(phones))


def leaks_of(stack: RunningStack) -> list[str]:
    """Search all that the functions and the programs of a stack have logged."""
    return list(find_leaks(logs_of(stack), Confidential.of(stack)))


def logs_of(stack: RunningStack) -> dict[str, list[str]]:
    """Read all lines, by function or program."""
    logs = stack.client("logs")
    read = {file.name: file.read_text(errors="replace").splitlines() for file in stack.embedded.folder.glob("*.log")}
    for group in _pages(logs, "describe_log_groups", "logGroups"):
        name = group["logGroupName"]
        read[name.rpartition("/")[2]] = [
            event["message"]
            for stream in _pages(logs, "describe_log_streams", "logStreams", logGroupName=name)
            for event in _events(logs, name, stream["logStreamName"])
        ]
    return read


def find_leaks(logs: Mapping[str, Iterable[str]], known: Confidential) -> Iterator[str]:
    """Yield what each leak is, where it stands, and its line, in which all that is confidential is masked."""
    exact = dict.fromkeys(known.secrets, "a secret") | {
        form: "a text" for text in known.texts if len(text) >= _SHORTEST_TEXT for form in _forms(text)
    }
    for source, lines in logs.items():
        whole = "\n".join(lines)
        present = {needle: kind for needle, kind in exact.items() if needle in whole}
        for line in whole.splitlines():
            masked, kinds = line, set[str]()
            for needle, kind in present.items():
                if needle in masked:
                    masked = masked.replace(needle, "*****")
                    kinds.add(kind)
            masked, tokens = _TOKEN.subn("*****", masked)
            found = {match[0] for match in _ELEVEN_DIGITS.finditer(masked) if match[0] in known.phones}
            found |= {match[0] for match in _ANY_PHONE.finditer(_MESSAGE_IDS.sub("", masked))}
            for phone in found:
                masked = masked.replace(phone, "*****")
            kinds |= ({"a token"} if tokens else set()) | ({"a phone"} if found else set())
            if kinds:
                yield f"{' and '.join(sorted(kinds))} in {source}: {masked[:_SHOWN]}"


def _forms(text: str) -> set[str]:
    """Tell how a text may stand in a line: as it is, or as JSON writes it."""
    return {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}


def _secrets(manager: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - boto3's clients are made at run time
    yield from _pages(manager, "list_secrets", "SecretList")


def _items(stack: RunningStack, table: str) -> Iterator[dict[str, Any]]:
    yield from _pages(stack.client("dynamodb"), "scan", "Items", TableName=stack.table_name(table))


def _pages(client: Any, operation: str, key: str, **arguments: str) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - as above
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page[key]


def _events(logs: Any, group: str, stream: str) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - as above
    query: dict[str, Any] = {"logGroupName": group, "logStreamName": stream, "startFromHead": True}
    while True:
        page = logs.get_log_events(**query)
        yield from page["events"]
        if not page["events"]:
            return
        query["nextToken"] = page["nextForwardToken"]
