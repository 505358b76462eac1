"""An OpenID Connect issuer: what it publishes of itself (Discovery 1.0), its keys, and the code that it takes back."""

import base64
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from chalicelib.adapters.deadline import DeadlineAdapter
from chalicelib.adapters.signing_keys import SigningKeys
from chalicelib.config import require_https_off_loopback
from chalicelib.errors import RefusedTokenError, TransientError

TIMEOUT_SECONDS = 3.0
MAX_DOCUMENT_BYTES = 256 * 1024
MAX_AGE = timedelta(hours=1)
_OK = 200
_REFUSED = (400, 401, 403)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a browser is sent, and where a code is handed in.

    Attributes:
        end_session: where a login ends; None: the issuer knows no such thing.
        secret_in_form: a client's secret stands among the fields, not in the header `Authorization`.
    """

    authorization: str
    token: str
    end_session: str | None
    secret_in_form: bool


class Issuer:
    """An issuer, by the address that its tokens have in `iss`.

    What it publishes leads to https, to loopback, or to one of `plain_http_hosts`.
    """

    def __init__(self, url: str, plain_http_hosts: Collection[str] = ()) -> None:
        self._url = url
        self._plain_http_hosts = plain_http_hosts
        self._discovery = _Document(f"{url.rstrip('/')}/.well-known/openid-configuration")
        self._key_set: _Document | None = None
        self._token_address: _Document | None = None
        self._endpoints: tuple[float, Endpoints] | None = None

    def read_keys(self) -> SigningKeys:
        """Read the keys that it signs with at present.

        Raises:
            TransientError: it does not answer, or not with what it should.
        """
        address = self._key_set_address()
        if self._key_set is None or self._key_set.address != address:
            self._key_set = _Document(address)
        try:
            return SigningKeys.of(self._key_set.read())
        except ValueError as error:
            raise TransientError(f"{address} cannot be used: {error}") from error

    def endpoints(self) -> Endpoints:
        """Read where users log in and out; kept for an hour.

        Raises:
            TransientError: it does not answer, or not with what it should.
        """
        if self._endpoints is None or time.monotonic() - self._endpoints[0] > MAX_AGE.total_seconds():
            configuration = self._configuration()
            methods = configuration.get("token_endpoint_auth_methods_supported")
            found = Endpoints(
                authorization=self._address(configuration, "authorization_endpoint"),
                token=self._address(configuration, "token_endpoint"),
                end_session=(
                    self._address(configuration, "end_session_endpoint")
                    if "end_session_endpoint" in configuration
                    else None
                ),
                secret_in_form=isinstance(methods, list) and "client_secret_post" in methods,
            )
            self._endpoints = time.monotonic(), found
        return self._endpoints[1]

    def id_token(self, fields: Mapping[str, str], client_id: str, secret: str | None) -> str:
        """Hand in a code and receive the id token of the login (RFC 6749, section 4.1.3).

        Args:
            fields: the code, and what proves that it was given to us.
            client_id: who we are.
            secret: what proves it; None: we are a public client.

        Raises:
            RefusedTokenError: the issuer does not take the code, or gives no id token for it.
            TransientError: it does not answer, or not with what it should.
        """
        endpoints = self.endpoints()
        if self._token_address is None or self._token_address.address != endpoints.token:
            self._token_address = _Document(endpoints.token)
        asked, headers = {"grant_type": "authorization_code", **fields, "client_id": client_id}, {}
        if secret is not None and endpoints.secret_in_form:
            asked["client_secret"] = secret
        elif secret is not None:
            pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        token = self._token_address.post(asked, headers).get("id_token")
        if not isinstance(token, str):
            raise RefusedTokenError("the issuer gives no id token")
        return token

    def _key_set_address(self) -> str:
        return self._address(self._configuration(), "jwks_uri")

    def _configuration(self) -> dict[str, Any]:
        configuration = self._discovery.read()
        if configuration.get("issuer") != self._url:
            raise TransientError(f"{self._discovery.address} is of another issuer than ISSUER_URL, to the letter")
        return configuration

    def _address(self, configuration: Mapping[str, Any], name: str) -> str:
        try:
            return _checked(configuration.get(name), urlsplit(self._url).scheme, self._plain_http_hosts)
        except ValueError as error:
            raise TransientError(f"{name} in {self._discovery.address} {error}") from error


def _checked(address: object, issuer_scheme: str, plain_http_hosts: Collection[str]) -> str:
    if not isinstance(address, str):
        raise ValueError("is missing")  # noqa: TRY004 - wrong content, not a wrong call
    require_https_off_loopback(address, plain_http_hosts)
    if issuer_scheme == "https" and urlsplit(address).scheme != "https":
        raise ValueError("must be https, as its issuer is")
    return address


class _Document:
    """A JSON object at an address, asked for anew each time."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._adapter = DeadlineAdapter(pool_size=1)

    def read(self) -> dict[str, Any]:
        """Read it. Raises `TransientError`."""
        status, content = self._ask("GET", {}, None)
        return self._object(status, content)

    def post(self, fields: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        """Post a form and read the answer. Raises `TransientError`, or `RefusedTokenError` if it is refused."""
        status, content = self._ask("POST", headers, fields)
        if status in _REFUSED:
            raise RefusedTokenError(f"the issuer does not take the code: it answers {status}")
        return self._object(status, content)

    def _ask(self, method: str, headers: Mapping[str, str], fields: Mapping[str, str] | None) -> tuple[int, bytes]:
        # Calls are far apart: no connection lasts that long.
        headers = {"Accept": "application/json", "Connection": "close", **headers}
        try:
            request = requests.Request(method, self.address, headers=headers, data=fields).prepare()
            with self._adapter.within(TIMEOUT_SECONDS) as call:
                # Without a session: no redirect is followed, and no proxy or netrc of the environment counts.
                response = self._adapter.send(request, stream=True, timeout=TIMEOUT_SECONDS)
                with response:
                    content: bytes = response.raw.read(MAX_DOCUMENT_BYTES + 1, decode_content=True)
        except (RequestException, HTTPError, OSError) as error:
            raise TransientError(f"{self.address} does not answer: {type(error).__name__}") from error
        if call.overdue:
            raise TransientError(f"{self.address} does not answer within {TIMEOUT_SECONDS:g} s")
        if len(content) > MAX_DOCUMENT_BYTES:
            raise TransientError(f"{self.address} is larger than {MAX_DOCUMENT_BYTES} bytes")
        return response.status_code, content

    def _object(self, status: int, content: bytes) -> dict[str, Any]:
        if status != _OK:
            raise TransientError(f"{self.address} answers {status}")
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise TransientError(f"{self.address} is no JSON") from error
        if not isinstance(document, dict):
            raise TransientError(f"{self.address} is no JSON object")
        return document
