"""Requests that nobody sends by accident, with the answers that are right: for the application and the packaged one."""

from dataclasses import dataclass, field

ID = "01K9XZ3V7D8M2N4P6Q8R0S2T4V"
MEBIBYTE = 1_048_576


@dataclass(frozen=True)
class Abuse:
    """A request and the statuses that are right; `path` and `headers` go over the wire as they stand."""

    name: str
    statuses: frozenset[int]
    method: str = "POST"
    path: str = "/clients"
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def _paths() -> list[Abuse]:
    paths = {
        "traversal, encoded": "/clients/..%2f..%2fmailings",
        "traversal, encoded dots": f"/clients/%2e%2e/%2e%2e/{ID}",
        "traversal, encoded twice": "/clients/%252e%252e%252fmailings",
        "traversal, backslashes": "/clients/..%5c..%5cetc%5cpasswd",
        "double slashes": f"/clients//{ID}",
        "NUL": f"/clients/{ID}%00",
        "NUL alone": "/messages/%00",
        "overlong UTF-8": "/clients/%c0%ae%c0%ae",
        "half a character": "/clients/%d0",
        "surrogate": "/clients/%ed%a0%80",
        "CR LF": f"/clients/{ID}%0d%0aSet-Cookie:%20x=1",
        "LF at the end": f"/clients/{ID}%0a",
        "quote and markup": "/clients/%22%3E%3Cscript%3E",
        "template": "/clients/$%7Bjndi:ldap://x%7D",
        "long segment": "/clients/" + "A" * 4000,
        "huge message id": "/messages/" + "9" * 400,
        "negative message id": "/messages/-1",
        "message id in other digits": "/messages/%D9%A7",
    }
    return [Abuse(f"path: {name}", frozenset({404}), "GET", path) for name, path in paths.items()]


def _queries() -> list[Abuse]:
    queries = {
        "invalid UTF-8": ("tag=%ff%fe", {200, 422}),  # the gateway may have replaced it by U+FFFD
        "overlong UTF-8": ("operator_code=%c0%b9", {422}),
        "NUL": ("tag=%00", {422}),
        "CR LF": ("tag=a%0d%0aX-Injected:%201", {422}),
        "unknown names": ("__proto__=1", {422}),
        "a name that stands twice": ("tag=a&tag=b", {422}),
        "no name": ("=1", {200, 422}),
        "half an escape": ("tag=%", {200, 400, 422}),
        "many parameters": ("&".join(f"p{n}=1" for n in range(40)), {422}),
        "long parameter": ("cursor=" + "A" * 8500, {414}),
        "SQL": ("tag=1'%20OR%20'1'='1", {200}),
        "huge limit": ("limit=" + "9" * 1000, {422}),
    }
    return [
        Abuse(f"query: {name}", frozenset(statuses), "GET", f"/clients?{query}")
        for name, (query, statuses) in queries.items()
    ]


def _bodies() -> list[Abuse]:
    keys = ",".join(f'"k{n}":1' for n in range(90_000))
    bodies: dict[str, tuple[bytes, set[int]]] = {
        "nothing": (b"", {400}),
        "deep arrays": (b"[" * 500_000, {400}),
        "deep objects": (b'{"a":' * 100_000, {400}),
        "33 levels": (b'{"tag":' + b"[" * 32 + b"1" + b"]" * 32 + b"}", {400}),
        "32 levels": (b'{"tag":' + b"[" * 31 + b"1" + b"]" * 31 + b"}", {422}),
        "wide": (b"{" + keys.encode() + b"}", {422}),
        "wide, the last name twice": (b"{" + keys.encode() + b',"k89999":1}', {422}),
        "wide array": (b'{"tag":[' + b"1," * 500_000 + b"1]}", {422}),
        "a name twice": (b'{"phone":"79161234567","timezone":"UTC","phone":"79161234568"}', {422}),
        "a name twice, within": (b'{"phone":"79161234567","timezone":{"a":1,"a":2}}', {422}),
        "a name twice, escaped": (b'{"phone":"79161234567","timezone":"UTC","t\\u0061g":"a","tag":"b"}', {422}),
        "integer of 4,000 digits": (b'{"phone":' + b"9" * 4000 + b"}", {422}),
        "integer of 5,000 digits": (b'{"phone":' + b"9" * 5000 + b"}", {400}),
        "1e400": (b'{"phone":1e400}', {422}),
        "large exponent": (b'{"phone":1e999999999999}', {422}),
        "small exponent": (b'{"phone":1e-999999999999}', {422}),
        "NaN": (b'{"phone":NaN}', {400}),
        "Infinity": (b'{"phone":-Infinity}', {400}),
        "unpaired surrogate": (b'{"phone":"79161234567","timezone":"UTC","tag":"\\ud800"}', {422}),
        "NUL": (b'{"phone":"79161234567","timezone":"UTC","tag":"\\u0000"}', {422}),
        "invalid UTF-8": (b'{"phone":"79161234567","timezone":"\xff\xfe"}', {400, 422}),
        "overlong UTF-8": (b'{"phone":"79161234567","timezone":"\xc0\xae"}', {400, 422}),
        "UTF-16": ('{"phone":"79161234567","timezone":"UTC"}'.encode("utf-16"), {400}),
        "a byte order mark": (b'\xef\xbb\xbf{"phone":"79161234567","timezone":"UTC"}', {400}),
        "comment": (b'{"phone":"79161234567"/* */,"timezone":"UTC"}', {400}),
        "two objects": (b"{}{}", {400}),
        "prototype": (b'{"__proto__":{"phone":"79161234567"},"timezone":"UTC"}', {422}),
        "a byte too large": (b" " * (MEBIBYTE + 1), {413}),
        "fewer characters than the limit, more bytes": (b'{"tag":"' + "ж".encode() * 600_000 + b'"}', {413}),
    }
    return [
        Abuse(f"body: {name}", frozenset(statuses), body=body, headers={"Content-Type": "application/json"})
        for name, (body, statuses) in bodies.items()
    ]


def _headers() -> list[Abuse]:
    whole = b'{"phone":"79161234567","timezone":"UTC","x":1}'  # one field too many: never stored
    headers = {
        "large header": ({"X-Large": "x" * 17_000}, {431}),
        "key with a blank": ({"Idempotency-Key": "a b"}, {422}),
        "key that is too long": ({"Idempotency-Key": "k" * 256}, {422}),
        "request id that is none": ({"X-Request-Id": "<script>alert(1)</script>"}, {422}),
        "another method within": ({"X-HTTP-Method-Override": "DELETE"}, {422}),
        "another type": ({"Content-Type": "application/xml"}, {415}),
        "forged host": ({"X-Forwarded-Host": "evil.example"}, {422}),
    }
    return [
        Abuse(
            f"header: {name}",
            frozenset(statuses),
            body=whole,
            headers={"Content-Type": "application/json"} | given,
        )
        for name, (given, statuses) in headers.items()
    ]


ABUSES = [*_paths(), *_queries(), *_bodies(), *_headers()]
