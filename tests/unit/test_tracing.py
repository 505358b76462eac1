"""Tracing where there is no Lambda; tests/packaging/test_tracing.py has it where there is one."""

import botocore.client
import pytest

from chalicelib.adapters import tables
from chalicelib.bootstrap import Application
from chalicelib.config import Settings
from chalicelib.correlation import correlated
from tests.settings import ENVIRONMENT


def test_outside_of_lambda_nothing_is_traced_and_everything_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    try:
        built = Application(Settings.from_env(ENVIRONMENT | {"TRACING": "Active"}))
    finally:
        tables.bind("unbound")
    done = []
    with correlated("call", mailing_id="m"), built.subsegment("provider"):
        done.append("request")
    assert done == ["request"]
    assert not hasattr(botocore.client, "_xray_enabled"), "calls of AWS are left as they are"
