"""The provider, over `requests` (port: `Provider`; contract: section "Provider" of the README)."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

import requests
from requests.exceptions import RequestException
from urllib3.exceptions import DecodeError, HTTPError
from urllib3.exceptions import TimeoutError as SilenceError

from chalicelib.adapters.deadline import Call, DeadlineAdapter
from chalicelib.correlation import current_correlation_id
from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.errors import TransientError
from chalicelib.observability import count

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
_REFUSED = frozenset({400, 404, 413, 422})
_UNAUTHORIZED = frozenset({401, 403})
_BUSY = frozenset({408, 425, 429})
_OK = 200
_NO_TOKEN = Answer(AnswerKind.UNAUTHORIZED, "no_token")
PROMPT_SECONDS = 0.1
END_SECONDS = 1.0
MAX_RETRY_AFTER = timedelta(days=30)  # as long as a mailing lasts


Subsegment = Callable[[str], AbstractContextManager[object]]  # of a trace, by its name


class Token(Protocol):
    """Where the bearer token comes from; both raise `TransientError` when it cannot be read."""

    def current(self) -> str:
        """Read the token."""
        ...

    def renewed(self, refused: str) -> str:
        """Read it again because this one was refused."""
        ...


class ProviderClient:
    """Makes requests to the provider. Thread-safe; keeps one connection per thread open.

    Args:
        base_url: without a trailing slash.
        token: the bearer token, read for each request.
        connect_timeout_seconds: until a connection stands.
        pool_size: how many threads send.
        subsegment: stands around each request, for whoever traces.
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        *,
        connect_timeout_seconds: float,
        pool_size: int,
        subsegment: Subsegment = nullcontext,
    ) -> None:
        self._base_url = base_url
        self._token = token
        self._connect_timeout_seconds = connect_timeout_seconds
        self._subsegment = subsegment
        self._adapter = DeadlineAdapter(pool_size)
        self._session = requests.Session()
        self._session.trust_env = False
        self._headers: tuple[str | None, Mapping[str, str | bytes]] = (None, {})

    def send(self, message_id: int, phone: str, text: str, timeout_seconds: float) -> Answer:
        """Make one request; with a token that was replaced since, a second."""
        started = time.monotonic()
        body = json.dumps({"id": message_id, "phone": int(phone), "text": text}).encode()
        url = f"{self._base_url}/v1/send/{message_id}"
        try:
            token = self._token.current()
            answer = self._post(url, body, token, started, timeout_seconds)
            if answer.status in _UNAUTHORIZED:
                logger.error("provider refuses our token", extra={"http_status": answer.status})
                count("ProviderTokenRefused")
                renewed = self._token.renewed(token)
                if renewed != token and not _is_late(started, timeout_seconds):
                    answer = self._post(url, body, renewed, started, timeout_seconds)
        except TransientError:
            logger.exception("the provider's token cannot be read")
            answer = _NO_TOKEN
        return replace(answer, duration_ms=round((time.monotonic() - started) * 1000))

    def _post(self, url: str, body: bytes, token: str, started: float, timeout_seconds: float) -> Answer:
        remaining = started + timeout_seconds - time.monotonic()
        if _is_late(started, timeout_seconds) or not (token.isascii() and token.isprintable()):
            return _NO_TOKEN
        request = requests.PreparedRequest()
        request.method, request.url, request.body = "POST", url, body
        request.headers = {**self._headers_for(token), "Content-Length": str(len(body))}  # type: ignore[assignment]
        if correlation_id := current_correlation_id():
            request.headers["X-Request-Id"] = correlation_id
        timeouts = (min(self._connect_timeout_seconds, remaining), remaining)
        with self._subsegment("provider"), self._adapter.within(remaining) as call:
            try:
                # Without the session: it would look for cookies, hooks, proxies and redirects, and there are none.
                response = self._adapter.send(request, stream=True, timeout=timeouts)
                with response:
                    content = _read(response)
            except (RequestException, HTTPError, OSError) as error:
                return _no_answer(call, error)
            if call.overdue:
                # Shut in the middle of its headers, an answer looks as if it ended there.
                return Answer(AnswerKind.UNCERTAIN, "timeout")
        return _classify(response, content)

    def _headers_for(self, token: str) -> Mapping[str, str | bytes]:
        """Return what all requests with a token share: `requests` takes longer to prepare one than to send it."""
        known, headers = self._headers
        if known != token:
            own = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            headers = dict(self._session.prepare_request(requests.Request("POST", self._base_url, headers=own)).headers)
            self._headers = (token, headers)
        return headers


def _is_late(started: float, timeout_seconds: float) -> bool:
    """Tell whether reading the token took so long that the request may not start any more.

    The deadline may be the end of the mailing, and within a second of that no request starts.
    """
    elapsed = time.monotonic() - started
    return elapsed > PROMPT_SECONDS and timeout_seconds - elapsed <= END_SECONDS


def _read(response: requests.Response) -> bytes:
    """Read a body, one byte beyond what is too large; one that cannot be unpacked is as good as empty."""
    try:
        content: bytes = response.raw.read(MAX_BODY_BYTES + 1, decode_content=True)
    except DecodeError:
        content = b""
    if len(content) > MAX_BODY_BYTES:
        response.raw.close()
    return content


def _no_answer(call: Call, error: Exception) -> Answer:
    late = call.overdue or isinstance(error, (requests.Timeout, TimeoutError, SilenceError))
    if not call.connected:
        return Answer(AnswerKind.UNREACHABLE, "connect_timeout" if late else "connect")
    return Answer(AnswerKind.UNCERTAIN, "timeout" if late else "reset")


def _classify(response: requests.Response, content: bytes) -> Answer:
    status = response.status_code
    if status == _OK:
        return _classify_body(content)
    error = f"http_{status}"
    if status in _REFUSED:
        return Answer(AnswerKind.REFUSED, error, status)
    if status in _UNAUTHORIZED:
        return Answer(AnswerKind.UNAUTHORIZED, error, status)
    if status in _BUSY or status >= 500:  # noqa: PLR2004 - the class of server errors
        return Answer(AnswerKind.BUSY, error, status, _retry_after(response.headers.get("Retry-After")))
    return Answer(AnswerKind.BROKEN, error, status)


def _classify_body(content: bytes) -> Answer:
    if len(content) > MAX_BODY_BYTES:
        return Answer(AnswerKind.BROKEN, "too_large", _OK)
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return Answer(AnswerKind.BROKEN, "no_json", _OK)
    code = answer.get("code") if isinstance(answer, dict) else None
    if type(code) is not int:
        return Answer(AnswerKind.BROKEN, "wrong_shape", _OK)
    if code != 0:
        return Answer(AnswerKind.BROKEN, "other_code", _OK)
    return Answer(AnswerKind.ACCEPTED, status=_OK)


def _retry_after(header: str | None) -> timedelta | None:
    """Read the header's two forms, seconds and a date (RFC 9110, 10.2.3); what is neither is ignored."""
    if header is None:
        return None
    header = header.strip()
    if header.isascii() and header.isdigit():
        return min(timedelta(seconds=int(header[:9])), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(header)
        wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.now(UTC)
    except (ValueError, OverflowError):
        return None
    return min(max(wait, timedelta(0)), MAX_RETRY_AFTER)
