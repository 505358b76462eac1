"""Settings: the only reader of the environment.

Every setting is one environment variable, its name in capitals. An empty variable counts as not set, so that
the template can pass each one through without knowing its default.
"""

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic import ValidationError as PydanticValidationError

from chalicelib.errors import ConfigurationError

SettingsModel = TypeVar("SettingsModel", bound=BaseModel)
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def _require_https_off_loopback(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http(s) URL with a host")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
        raise ValueError("must be https unless the host is loopback")
    return url.rstrip("/")


class Tuning(BaseModel):
    """What an operator may set; `make up` and `make deploy` pass each on by its name."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    provider_url: Annotated[str, AfterValidator(_require_https_off_loopback)]
    provider_connect_timeout_seconds: float = Field(default=3, gt=0, le=10)
    provider_timeout_seconds: float = Field(default=10, gt=0, le=10)
    provider_max_per_second: float | None = Field(default=None, ge=0.1, le=100_000)
    provider_max_in_flight: int | None = Field(default=None, ge=1, le=100_000)

    breaker_failures: int = Field(default=10, ge=1, le=1000)
    breaker_probe_seconds: float = Field(default=2, ge=0.1, le=60)
    breaker_probe_cap_seconds: float = Field(default=15, ge=0.1, le=900)

    sender_threads: int = Field(default=64, ge=1, le=256)
    max_attempts: int = Field(default=20, ge=1, le=1000)
    backoff_base_seconds: float = Field(default=2, gt=0, le=60)
    backoff_cap_seconds: float = Field(default=900, gt=0, le=900)

    plan_segments: int = Field(default=8, ge=1, le=32)
    express_max_clients: int = Field(default=1000, ge=0, le=10_000)
    queued_grace_seconds: float = Field(default=900, ge=1, le=86_400)


class Settings(Tuning):
    """Everything a function is told: the operator's settings, and the names of what the stack made."""

    table_prefix: str = Field(min_length=1)
    plan_queue_url: str = Field(min_length=1)
    plan_dlq_url: str = Field(min_length=1)
    send_queue_url: str = Field(min_length=1)
    send_dlq_url: str = Field(min_length=1)
    express_queue_url: str = Field(min_length=1)
    express_dlq_url: str = Field(min_length=1)
    import_queue_url: str = Field(min_length=1)
    import_dlq_url: str = Field(min_length=1)
    imports_bucket: str = Field(min_length=1)
    planner_arn: str = Field(min_length=1)
    schedule_group: str = Field(min_length=1)
    scheduler_role_arn: str = Field(min_length=1)
    scheduler_dlq_arn: str = Field(min_length=1)
    scheduler_dlq_url: str = Field(min_length=1)
    api_token_secret: str = Field(min_length=1)
    provider_token_secret: str = Field(min_length=1)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read and check all settings.

        Raises:
            ConfigurationError: names every variable that is missing or does not parse.
        """
        return parse(cls, os.environ if environ is None else environ)


def parse(model: type[SettingsModel], environ: Mapping[str, str]) -> SettingsModel:
    """Build `model` from the variables that bear its fields' names in capitals.

    Raises:
        ConfigurationError: names every variable that is missing or does not parse.
    """
    given: dict[str, Any] = {name: environ[name.upper()] for name in model.model_fields if environ.get(name.upper())}
    try:
        return model.model_validate(given)
    except PydanticValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, issue['loc'])).upper()}: {issue['msg']}" for issue in error.errors())
        raise ConfigurationError(f"settings do not parse: {wrong}") from error
