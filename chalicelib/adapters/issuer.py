"""What an issuer of access tokens publishes: where its keys are (OpenID Connect Discovery 1.0), and the keys."""

import json
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from chalicelib.adapters.deadline import DeadlineAdapter
from chalicelib.adapters.signing_keys import SigningKeys
from chalicelib.config import require_https_off_loopback
from chalicelib.errors import TransientError

TIMEOUT_SECONDS = 3.0
MAX_DOCUMENT_BYTES = 256 * 1024
_OK = 200


class Issuer:
    """An issuer, by the address that its tokens have in `iss`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._discovery = _Document(f"{url.rstrip('/')}/.well-known/openid-configuration")
        self._key_set: _Document | None = None

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

    def _key_set_address(self) -> str:
        configuration = self._discovery.read()
        named, address = configuration.get("issuer"), configuration.get("jwks_uri")
        if named != self._url:
            raise TransientError(f"{self._discovery.address} is of another issuer than ISSUER_URL, to the letter")
        try:
            return _checked(address, issuer_scheme=urlsplit(self._url).scheme)
        except ValueError as error:
            raise TransientError(f"jwks_uri in {self._discovery.address} {error}") from error


def _checked(address: object, issuer_scheme: str) -> str:
    if not isinstance(address, str):
        raise ValueError("is missing")  # noqa: TRY004 - wrong content, not a wrong call
    require_https_off_loopback(address)
    if issuer_scheme == "https" and urlsplit(address).scheme != "https":
        raise ValueError("must be https, as its issuer is")
    return address


class _Document:
    """A JSON object at an address, read anew each time."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._adapter = DeadlineAdapter(pool_size=1)

    def read(self) -> dict[str, Any]:
        # Reads are an hour apart: no connection lasts that long.
        headers = {"Accept": "application/json", "Connection": "close"}
        try:
            request = requests.Request("GET", self.address, headers=headers).prepare()
            with self._adapter.within(TIMEOUT_SECONDS) as call:
                # Without a session: no redirect is followed, and no proxy or netrc of the environment counts.
                response = self._adapter.send(request, stream=True, timeout=TIMEOUT_SECONDS)
                with response:
                    content: bytes = response.raw.read(MAX_DOCUMENT_BYTES + 1, decode_content=True)
        except (RequestException, HTTPError, OSError) as error:
            raise TransientError(f"{self.address} does not answer: {type(error).__name__}") from error
        if call.overdue:
            raise TransientError(f"{self.address} does not answer within {TIMEOUT_SECONDS:g} s")
        if response.status_code != _OK:
            raise TransientError(f"{self.address} answers {response.status_code}")
        if len(content) > MAX_DOCUMENT_BYTES:
            raise TransientError(f"{self.address} is larger than {MAX_DOCUMENT_BYTES} bytes")
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise TransientError(f"{self.address} is no JSON") from error
        if not isinstance(document, dict):
            raise TransientError(f"{self.address} is no JSON object")
        return document
