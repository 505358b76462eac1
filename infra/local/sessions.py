"""Sessions for the embedded stack, which never see what the shell says about AWS."""

import os
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from localstack_client.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "127.0.0.1"
REGION = "us-east-1"
ACCESS_KEY = "test"  # the emulator takes any key; with IAM enforced this one is root

# No proxy of the environment stands between two programs on loopback.
_DIRECT = Config(proxies={}, connect_timeout=3, read_timeout=60, retries={"mode": "standard"})


class LocalSession:
    """Clients of the emulator on one port."""

    def __init__(self, port: int) -> None:
        forget_outer_aws()
        self.endpoint = f"http://{HOST}:{port}"
        self._session = Session(
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=ACCESS_KEY,
            aws_session_token=None,
            region_name=REGION,
            localstack_host=f"{HOST}:{port}",
        )

    def client(self, service: str, config: Config | None = None) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Make a client of the service; `config` goes above what local clients have."""
        return self._session.client(service, config=_DIRECT.merge(config) if config else _DIRECT)


def forget_outer_aws() -> None:
    """Take the shell's AWS settings out of this process.

    An `AWS_ENDPOINT_URL` or a profile that is meant for elsewhere would send local sessions there:
    localstack-client puts that variable above the host that it is given.
    """
    for name in [name for name in os.environ if _is_outer_aws(name)]:
        del os.environ[name]


def local_environ(environ: "Mapping[str, str]", port: int) -> dict[str, str]:
    """Return the environment for programs that should speak to the emulator on that port."""
    kept = {name: value for name, value in environ.items() if not _is_outer_aws(name)}
    return kept | {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
    }


def _is_outer_aws(name: str) -> bool:
    return name.startswith(("AWS_", "LOCALSTACK_")) or name == "USE_SSL"
