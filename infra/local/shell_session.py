"""AWS as the shell means it: its credentials, its region, and an emulator if AWS_ENDPOINT_URL names one."""

import os
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from local_error import LocalError
from sessions import ACCESS_KEY, REGION

_NO_CREDENTIALS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}

_AWS = Config(retries={"mode": "standard"})
# No proxy stands before an emulator on this machine or in its network, and no name server knows its buckets.
_EMULATOR = _AWS.merge(Config(proxies={}, s3={"addressing_style": "path"}))


class ShellSession:
    """Clients for what the environment names. An emulator takes any key, and needs none here.

    Raises:
        LocalError: AWS is meant, and no region is named.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self.endpoint = environ.get("AWS_ENDPOINT_URL") or None
        named = any(environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"))
        key = ACCESS_KEY if self.endpoint and not named else None
        self._session = boto3.Session(
            region_name=environ.get("AWS_REGION") or (_region(environ) if self.endpoint else None),
            aws_access_key_id=key,
            aws_secret_access_key=key,
        )
        if not self._session.region_name:
            raise LocalError("no region is named; say where: AWS_REGION=eu-central-1 make …")
        self.region: str = self._session.region_name
        self._config = _EMULATOR if self.endpoint else _AWS

    @property
    def emulated(self) -> bool:
        """Whether the other side is an emulator."""
        return self.endpoint is not None

    def on_loopback(self, hosts: Collection[str]) -> bool:
        """Whether the other side is an emulator on this machine, of which `hosts` are the names."""
        return self.endpoint is not None and urlsplit(self.endpoint).hostname in hosts

    def client(self, service: str, config: Config | None = None) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Make a client of the service; `config` goes above what such clients have."""
        wanted = self._config.merge(config) if config else self._config
        return self._session.client(service, config=wanted, endpoint_url=self.endpoint)  # type: ignore[call-overload]


def said_by(error: BotoCoreError | ClientError) -> str:
    """Say in one line what an error of AWS means, with the way out."""
    if isinstance(error, _NO_CREDENTIALS):
        return f"no credentials ({error}); log in, as with: aws sso login, or name a profile: AWS_PROFILE=…"
    if isinstance(error, EndpointConnectionError):
        return (
            f"{error}; is the region right ({os.environ.get('AWS_REGION', 'AWS_REGION is not set')}), the network up?"
        )
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        if code in _EXPIRED:
            return f"the credentials have expired ({code}); log in again, as with: aws sso login"
        if code in _UNKNOWN:
            return f"AWS does not know these credentials ({code}); which are they? aws configure list"
        if code in _DENIED:
            return f"not allowed: {error}; infra/deploy-role.yaml makes a role that may do it"
    return str(error)


def _region(environ: Mapping[str, str]) -> str:
    return environ.get("AWS_DEFAULT_REGION") or REGION
