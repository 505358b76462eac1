"""Tokens from Secrets Manager."""

import threading
import time
from datetime import datetime

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from chalicelib.domain.provider_token import expires_at
from chalicelib.errors import TransientError

MAX_AGE_SECONDS = 60
RENEW_AT_MOST_EVERY_SECONDS = 10.0


class Secrets:
    """Secrets that are plain strings. A value is kept for a minute, so a changed one counts within that."""

    def __init__(self, provider: SecretsProvider | None = None) -> None:
        self._provider = provider or SecretsProvider()

    def get(self, name: str, *, force_fetch: bool = False) -> str:
        """Read a secret, without the white space around it.

        Args:
            name: its name or ARN.
            force_fetch: read it again, however fresh the value kept is.

        Raises:
            TransientError: it could not be read, or is empty: an empty token must never open a door.
        """
        try:
            value = self._provider.get(name, max_age=MAX_AGE_SECONDS, force_fetch=force_fetch)
        except GetParameterError as error:
            raise TransientError(f"the secret {name} cannot be read") from error
        if not isinstance(value, str) or not value.strip():
            raise TransientError(f"the secret {name} is empty or not text")
        return value.strip()


class Token:
    """One token for many threads: read by one of them at a time, and again when it was refused."""

    def __init__(self, secrets: Secrets, name: str) -> None:
        self._secrets = secrets
        self._name = name
        self._lock = threading.Lock()
        self._renewed_at = -RENEW_AT_MOST_EVERY_SECONDS

    def current(self) -> str:
        """Read the token. Raises `TransientError`."""
        with self._lock:
            return self._secrets.get(self._name)

    def expires_at(self) -> datetime | None:
        """Say when the token ends, None if it does not say. Raises `TransientError`."""
        return expires_at(self.current())

    def renewed(self, refused: str) -> str:
        """Read the token again because this one was refused; the same one if nobody has replaced it."""
        with self._lock:
            current = self._secrets.get(self._name)
            now = time.monotonic()
            if current != refused or now - self._renewed_at < RENEW_AT_MOST_EVERY_SECONDS:
                return current
            self._renewed_at = now
            return self._secrets.get(self._name, force_fetch=True)
