"""The emulator alone, without a stack: for tests of what it must have in common with AWS."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import requests

from sessions import HOST, LocalSession, local_environ

READY_SECONDS = 30
AWS_VARIABLES = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"}


@contextmanager
def running_emulator() -> Iterator[LocalSession]:
    """Run an emulator on a free port while the block runs, and let this process's AWS clients speak to it."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        own = {"GATEWAY_PORT": str(port), "BIND_HOST": HOST, "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}
        own |= {"STATE_DIR": f"{folder}/state", "TMPDIR": folder, "S3_DATA_DIR": f"{folder}/s3"}
        environ = local_environ(os.environ, port)
        log = Path(folder, "emulator.log")
        with log.open("wb") as output:
            command = [sys.executable, "-m", "ministack"]
            process = subprocess.Popen(command, env=environ | own, cwd=folder, stdout=output, stderr=output)
        try:
            _wait_for(f"http://{HOST}:{port}/_ministack/health", process, log)
            session = LocalSession(port)  # forgets what the environment says of AWS, so that comes after it
            for name in environ.keys() & AWS_VARIABLES:
                patch.setenv(name, environ[name])
            yield session
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(health: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(health, timeout=1).ok:
                return
        except requests.RequestException:
            time.sleep(0.05)
    raise RuntimeError(f"the emulator does not answer:\n{log.read_text()}")
