"""The embedded stack on loopback: emulator, simulated provider, development issuer, and the deployed application."""

import fcntl
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from access_token import fetch_token
from bundle import Bundle, make_bundle
from chalicelib.config import Tuning, parse
from deployment import Deployment
from files import remove_folders, write_private
from hosted import ENVIRON_FILE, TRIGGERS_OFF, address_of_host, digest_of_host, is_whole, start_host, stop_host
from local_error import LocalError
from probe import status_of, wait_until
from processes import Process, ProcessRecord, interrupts_held
from programs import (
    EMULATOR,
    EMULATOR_LOG,
    ISSUER,
    READY_SECONDS,
    SIMULATOR,
    read_issuer,
    start_emulator,
    start_issuer,
    start_simulator,
)
from sessions import HOST, REGION, LocalSession
from stages import parameter_name

INFO_FILE = "stack.json"
SCRAPE_SECRET_FILE = "scrape-secret"  # noqa: S105 - the name of a file
DEFAULT_PORT = 4566
OK = 200
REPORT = {"REPORT_SENDER": "reports@vestnik.example", "REPORT_RECIPIENTS": "team@vestnik.example"}
"""Of the daily report, so that there is one: `make mail` shows it, and nothing leaves the machine."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class StackOptions:
    """What a stack is made of. Stacks differ in `folder` and `port`.

    `settings` are fields of Tuning by their variables' names; without a PROVIDER_URL a simulator is started, without an
    ISSUER_URL a development issuer. `token` is for stack.json where the issuer is somebody else's.
    `parameters` are further parameters of infra/template.yaml, `emulator` the emulator's own variables.
    Without a `port`: the one of the stack that runs in the folder, else 4566.
    `host`: the functions' work is done by infra/host, and no queue and no schedule calls the functions.
    """

    folder: Path
    port: int | None = None
    stack_name: str = "vestnik"
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    emulator: Mapping[str, str] = field(default_factory=dict)
    token: str | None = None
    provider_token: str | None = None
    host: bool = False


@dataclass(frozen=True)
class StackInfo:
    """Where the stack answers: the content of stack.json. None is for what is not built."""

    api_url: str
    docs_url: str | None
    admin_url: str | None
    metrics_url: str | None
    token: str | None
    provider_url: str
    issuer_url: str
    aws_endpoint_url: str
    region: str
    stack_name: str


@dataclass(frozen=True)
class _Memory:
    """What a later `up` has to know of this one."""

    port: int
    provider_token: str
    fingerprint: str


class EmbeddedStack:
    """A stack in a folder: `up` makes it so, whatever there was; `down` ends it."""

    def __init__(self, options: StackOptions, say: Say = print) -> None:
        self._options = options
        self._say = say
        self._folder = options.folder.resolve()
        self._record = ProcessRecord(self._folder / "processes.json")
        self._info_file = self._folder / INFO_FILE
        self._memory_file = self._folder / "deployment.json"
        self._scrape_secret_file = self._folder / SCRAPE_SECRET_FILE

    @property
    def folder(self) -> Path:
        """Where its state is kept, and its programs' logs."""
        return self._folder

    @property
    def on_host(self) -> bool:
        """Tell whether infra/host does the functions' work."""
        return self._options.host

    def info(self) -> StackInfo:
        """Return where the stack answers."""
        return StackInfo(**json.loads(self._info_file.read_text()))

    def processes(self) -> list[Process]:
        """Return the leaders of the stack's process groups."""
        return list(self._record)

    def up(self) -> StackInfo:
        """Start what does not run, deploy what changed, and wait until the API answers.

        Raises:
            ConfigurationError: a setting does not parse; nothing was started.
            LocalError: it did not work; what this call started is ended again.
        """
        tuning = parse(Tuning, {"PROVIDER_URL": f"http://{HOST}", **REPORT, **self._options.settings})
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._alone(), self._ending_what_was_started():
            emulator = self._record.living(EMULATOR)
            memory = self._recall() if emulator else None
            if emulator and memory:
                port = self._port_of(memory)
            else:
                self._clear()
                port = self._options.port or DEFAULT_PORT
                self._start_emulator(port)
            provider_token = self._options.provider_token or (memory and memory.provider_token) or _new_token()
            provider_url = self._provider(provider_token)
            issuer_url = self._issuer(tuning.api_audience)
            with self._step("packaging the application"):
                bundle = make_bundle()
            api_url = self._api_url_of_host() if self._options.host else None
            parameters = self._parameters(port, provider_url, issuer_url, provider_token, api_url)
            fingerprint = _fingerprint(bundle, parameters, self._options.token, self._options.host)
            if memory and memory.fingerprint == fingerprint and self._info_file.exists() and self._answers():
                self._say("the stack is up already, and its sources are unchanged")
                return self.info()
            info = self._deploy(port, bundle, parameters, provider_url, issuer_url, api_url)
            remembered = _Memory(port, provider_token, fingerprint)
            write_private(self._memory_file, json.dumps(asdict(remembered)))
            write_private(self._info_file, json.dumps(asdict(info), indent=2) + "\n")
        return info

    def down(self) -> None:
        """End the stack's processes and forget its state. Repeating it changes nothing."""
        if not self._folder.exists():
            self._say("nothing to stop")
            return
        with self._alone():
            stopped = self._clear()
        self._say(f"stopped: {', '.join(stopped)}" if stopped else "nothing to stop")

    def _clear(self) -> list[str]:
        stopped = stop_host(self._record)  # before what it speaks to
        stopped += [process.name for process in self._record if self._record.stop(process)]
        for file in (self._info_file, self._memory_file, self._scrape_secret_file, self._folder / ENVIRON_FILE):
            file.unlink(missing_ok=True)
        remove_folders((self._folder / "tmp").glob("*/"))  # of each process of a function, with all its code
        remove_folders(self._folder / own for own in ("state", "tmp", "mail"))
        return stopped

    def _port_of(self, memory: _Memory) -> int:
        if self._options.port not in {None, memory.port}:
            raise LocalError(f"the stack is up on port {memory.port}; to move it, first: make down")
        return memory.port

    def _start_emulator(self, port: int) -> Process:
        with self._step(f"starting the emulator on port {port}"):
            return start_emulator(self._record, self._folder, port, self._options.emulator)

    def _provider(self, token: str) -> str:
        simulator = self._record.living(SIMULATOR)
        if given := self._options.settings.get("PROVIDER_URL"):
            if simulator:
                self._record.stop(simulator)
            return given
        if simulator and self._info_file.exists():
            return self.info().provider_url
        with self._step("starting the provider simulator"):
            _, url = start_simulator(self._record, self._folder, token)
        return url

    def _issuer(self, audience: str) -> str:
        issuer = self._record.living(ISSUER)
        given = self._options.settings.get("ISSUER_URL")
        told = read_issuer(self._folder)
        if issuer and told and told["audience"] == audience and not given:
            return told["address"]
        if issuer:
            self._record.stop(issuer)
        if given:
            return given
        with self._step("starting the development issuer"):
            _, url = start_issuer(self._record, self._folder, audience)
        return url

    def _token(self, issuer_url: str) -> str | None:
        """Get a token with every scope."""
        if "ISSUER_URL" not in self._options.settings:
            return fetch_token(issuer_url, self._folder)
        if self._options.token is None:
            self._say(f"no token in {INFO_FILE}: only {issuer_url} can make one; TOKEN=… make up puts it there")
        return self._options.token

    def _api_url_of_host(self) -> str:
        return address_of_host(self._record, self.info().api_url if self._info_file.exists() else None)

    def _parameters(
        self, port: int, provider_url: str, issuer_url: str, provider_token: str, host_url: str | None
    ) -> dict[str, str]:
        # Of the gateway's, no request tells it: the gateway cuts the stage off.
        settings = {
            "ADMIN_URL": f"{host_url or _api_url(port, '{api_id}')}/admin/",
            **REPORT,
            **self._options.settings,
            "PROVIDER_URL": provider_url,
            "ISSUER_URL": issuer_url,
        }
        return {
            "DeletionProtection": "false",
            "RequireTls": "false",
            "SavedQueries": "false",
            "ProviderToken": provider_token,
            "ScrapeSecret": self._scrape_secret(),
            **{parameter_name(variable): value for variable, value in settings.items()},
            **(TRIGGERS_OFF if host_url else {}),
            **self._options.parameters,
        }

    def _scrape_secret(self) -> str:
        """Return what a scraper bears, from the file that Prometheus can read it from."""
        if not self._scrape_secret_file.exists():
            write_private(self._scrape_secret_file, _new_token())
        return self._scrape_secret_file.read_text()

    def _deploy(
        self,
        port: int,
        bundle: Bundle,
        parameters: Mapping[str, str],
        provider_url: str,
        issuer_url: str,
        host_url: str | None,
    ) -> StackInfo:
        session = LocalSession(port)
        with self._step("deploying the stack"):
            outputs = Deployment(session, self._options.stack_name, emulated=True).apply(bundle, parameters)
            sender = parameters[parameter_name("REPORT_SENDER")]
            session.client("ses").verify_email_identity(EmailAddress=sender)  # which takes no letter here
        stop_host(self._record)  # it has the environment, and the code, of before
        if host_url:
            with self._step("starting the host"):
                start_host(self._record, self._folder, host_url, port, self._options.stack_name, parameters)
        api_url = host_url or _api_url(port, outputs["RestAPIId"])
        info = StackInfo(
            api_url=api_url,
            docs_url=f"{api_url}/docs/",
            admin_url=self._options.settings.get("ADMIN_URL", f"{api_url}/admin/"),
            metrics_url=f"{api_url}/metrics",
            token=self._token(issuer_url),
            provider_url=provider_url,
            issuer_url=issuer_url,
            aws_endpoint_url=session.endpoint,
            region=REGION,
            stack_name=self._options.stack_name,
        )
        with self._step("waiting for the API"):
            health = f"{info.api_url}/health"
            wait_until(
                lambda: status_of(health) == OK,
                f"{health} answers 200",
                deadline_seconds=READY_SECONDS,
                log=self._folder / EMULATOR_LOG,
            )
        return info

    def _answers(self) -> bool:
        if self._options.host and not is_whole(self._record):
            return False
        return status_of(f"{self.info().api_url}/health") == OK

    def _recall(self) -> _Memory | None:
        if not self._memory_file.exists():
            return None
        return _Memory(**json.loads(self._memory_file.read_text()))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LocalError("another `make up` or `make down` is at work here; wait for it") from None
            yield

    @contextmanager
    def _ending_what_was_started(self) -> Iterator[None]:
        before = set(self._record)
        try:
            yield
        except BaseException:
            with interrupts_held():
                for process in set(self._record) - before:
                    self._record.stop(process)
            raise

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._say(f"{what:<50} {time.monotonic() - began:5.1f} s")


def _api_url(port: int, api_id: str) -> str:
    return f"http://{HOST}:{port}/_aws/execute-api/{api_id}/api"


def _fingerprint(bundle: Bundle, parameters: Mapping[str, str], token: str | None, host: bool) -> str:  # noqa: FBT001 - one of four facts
    content = json.dumps([bundle.digest, sorted(parameters.items()), token, host and digest_of_host()])
    return hashlib.sha256(content.encode()).hexdigest()


def _new_token() -> str:
    return secrets.token_urlsafe(32)
