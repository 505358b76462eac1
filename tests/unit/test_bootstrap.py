from collections.abc import Iterator
from functools import cached_property

import pytest

from chalicelib.adapters import tables
from chalicelib.bootstrap import Application
from chalicelib.config import Settings

ENVIRONMENT = {
    name.upper(): f"https://{name}.example/x"
    for name, field in Settings.model_fields.items()
    if field.is_required() or name == "provider_url"
}
PARTS = sorted(name for name, value in vars(Application).items() if isinstance(value, cached_property))


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    yield Application(Settings.from_env(ENVIRONMENT))
    tables.bind("unbound")


@pytest.mark.parametrize("part", PARTS)
def test_every_part_can_be_built_by_itself_and_once(application: Application, part: str) -> None:
    built = getattr(application, part)

    assert built is not None
    assert getattr(application, part) is built
