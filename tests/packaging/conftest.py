import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bundle import Bundle, make_bundle
from manifests import OVERLAYS
from tests.kubernetes import Manifests


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return make_bundle()


@pytest.fixture(scope="session")
def template(bundle: Bundle) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(bundle.template.read_text())
    return content


@pytest.fixture(scope="session")
def unpacked(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(bundle.code) as code:
        code.extractall(folder)
    return folder


@pytest.fixture(scope="session", params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> Manifests:
    return Manifests.of(request.param)


@pytest.fixture(scope="session")
def local() -> Manifests:
    return Manifests.of("local")
