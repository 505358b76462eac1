"""Settings: the only reader of the environment.

Every setting is one environment variable, its name in capitals. An empty variable counts as not set, so that
the template can pass each one through without knowing its default.
"""

import os
import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic import ValidationError as PydanticValidationError

from chalicelib.domain.language import Language
from chalicelib.domain.timezone import UnknownTimezoneError, resolve_timezone
from chalicelib.errors import ConfigurationError

SettingsModel = TypeVar("SettingsModel", bound=BaseModel)
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{1,63}")
_HOST_NAME = re.compile(r"([a-z0-9-]{1,63}\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?")  # the end of an IP address is a number
_LONGEST_ADDRESS = 254  # RFC 5321, less the angle brackets
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

CALLED_BY_EVENTS = ("planner", "plan-segment", "sender", "importer", "dispatcher", "drift-check", "daily-report")
"""The functions that no HTTP request reaches: how their names end on Lambda, and on the host."""


def answers_requests(environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether HTTP requests may reach this process: any but a function that events alone call."""
    name = (os.environ if environ is None else environ).get("AWS_LAMBDA_FUNCTION_NAME", "")
    return not name.endswith(tuple(f"-{function}" for function in CALLED_BY_EVENTS))


def require_https_off_loopback(url: str, plain_http_hosts: Collection[str] = ()) -> str:
    """Check an address that a token or a key passes to or from.

    Args:
        url: the address.
        plain_http_hosts: names of a private network to which plain HTTP is allowed, too.

    Raises:
        ValueError: it is no http(s) URL, or plain HTTP to another machine.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http(s) URL with a host")
    if parts.scheme == "http" and parts.hostname not in {*LOOPBACK_HOSTS, *plain_http_hosts}:
        raise ValueError("must be https unless the host is loopback")
    return url


def _require_https_but_where_told(url: str, about: ValidationInfo) -> str:
    return require_https_off_loopback(url, about.data.get("plain_http_hosts", ()))


def _require_host_name(host: str) -> str:
    if not _HOST_NAME.fullmatch(host):
        raise ValueError("must be host names in small letters, such as provider or issuer.localhost")
    return host


def _without_last_slash(url: str) -> str:
    return url.rstrip("/")


def _with_slash(url: str) -> str:
    return f"{url.rstrip('/')}/"


def _require_no_query(url: str) -> str:
    if "?" in url or "#" in url:
        raise ValueError("must have no query and no fragment")
    return url


def _read_listed(listed: object) -> object:
    return tuple(each.strip() for each in listed.split(",")) if isinstance(listed, str) else listed


def _require_origin(origin: str) -> str:
    if not _ORIGIN.fullmatch(require_https_off_loopback(origin)) or origin.endswith("/"):
        raise ValueError("must be an origin as browsers write it, such as https://app.example")
    return origin


def _require_address(address: str) -> str:
    if not _ADDRESS.fullmatch(address) or len(address) > _LONGEST_ADDRESS:
        raise ValueError("must be an e-mail address in ASCII, such as team@company.example")
    return address


def _require_sender(recipients: tuple[str, ...], about: ValidationInfo) -> tuple[str, ...]:
    if recipients and about.data.get("report_sender", "named by itself") is None:
        raise ValueError("need a REPORT_SENDER whom the mail is from")
    return recipients


def _require_zone(zone: str) -> str:
    try:
        resolve_timezone(zone)
    except UnknownTimezoneError as error:
        raise ValueError(str(error)) from error
    return zone


HostName = Annotated[str, AfterValidator(_require_host_name)]
Origin = Annotated[str, AfterValidator(_require_origin)]
EmailAddress = Annotated[str, AfterValidator(_require_address)]


class CommonTuning(BaseModel):
    """What an operator may set for all functions."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    tracing: Literal["PassThrough", "Active"] = "PassThrough"  # by X-Ray

    # Of a private network of containers: the provider and the issuer may be there without TLS, as on loopback.
    plain_http_hosts: Annotated[tuple[HostName, ...], BeforeValidator(_read_listed)] = ()

    # To the letter as tokens have it in `iss`: Auth0's ends with a slash.
    issuer_url: (
        Annotated[str, AfterValidator(_require_https_but_where_told), AfterValidator(_require_no_query)] | None
    ) = None
    api_audience: str = "vestnik"
    token_leeway_seconds: int = Field(default=30, ge=0, le=300)

    # Of the administrator's pages: where browsers see them, up to `/admin/`, with `{api_id}` for what the gateway calls
    # the API (the emulator has it in each address, and a new one for each change of routes); who they are to the
    # issuer; which claim of its id tokens has the roles.
    admin_url: (
        Annotated[
            str,
            AfterValidator(require_https_off_loopback),
            AfterValidator(_require_no_query),
            AfterValidator(_with_slash),
        ]
        | None
    ) = None
    pages_client_id: str = Field(default="vestnik-pages", min_length=1, max_length=255)
    roles_claim: str = Field(default="roles", min_length=1, max_length=255)

    provider_url: Annotated[str, AfterValidator(_require_https_but_where_told), AfterValidator(_without_last_slash)]
    cors_origins: Annotated[tuple[Origin, ...], BeforeValidator(_read_listed)] = ()

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

    sms_part_price: Decimal | None = Field(default=None, ge=0, le=1_000_000, max_digits=16)
    currency: str = Field(default="RUB", pattern="^[A-Z]{3}$")

    plan_segments: int = Field(default=8, ge=1, le=32)
    express_max_clients: int = Field(default=1000, ge=0, le=10_000)
    queued_grace_seconds: float = Field(default=900, ge=1, le=86_400)


class ReportTuning(BaseModel):
    """What an operator may set for the daily report; without recipients there is none.

    The function that sends it reads these by themselves: a wrong one stops no other function.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    report_sender: EmailAddress | None = None
    report_recipients: Annotated[
        tuple[EmailAddress, ...], BeforeValidator(_read_listed), Field(max_length=50), AfterValidator(_require_sender)
    ] = ()
    report_hour: int = Field(default=8, ge=0, le=23)
    report_zone: Annotated[str, AfterValidator(_require_zone)] = "UTC"
    report_language: Language = "en"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read and check these settings.

        Raises:
            ConfigurationError: names every variable that does not parse.
        """
        return parse(cls, os.environ if environ is None else environ)


class Tuning(CommonTuning, ReportTuning):
    """What an operator may set; `make up` and `make deploy` pass each on by its name."""


class Settings(CommonTuning):
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
    mailings_started_by: Literal["scheduler", "clock"] = "scheduler"
    signing_key_secret: str = Field(min_length=1)
    provider_token_secret: str = Field(min_length=1)
    pages_client_secret_name: str | None = None
    scrape_secret_name: str | None = None

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
