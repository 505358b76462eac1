"""Whether the Kubernetes manifests are what the API takes, and what says so."""

from pathlib import Path

import pytest

from manifests import faults, main
from tests.kubernetes import Manifests, require_kubectl


def test_every_manifest_is_what_the_api_of_kubernetes_takes(manifests: Manifests) -> None:
    assert [fault for document in manifests.documents for fault in faults(document)] == []


def test_a_name_that_the_api_does_not_know_is_a_fault_and_so_is_a_kind() -> None:
    wrong = {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "api"}, "spec": {"selektor": {}}}
    unknown = {"kind": "Servant", "apiVersion": "v1", "metadata": {"name": "api"}}

    assert "selektor" in next(faults(wrong))
    assert "Servant" in next(faults(unknown))


def test_check_fails_for_want_of_kubectl_in_ci_and_says_that_it_was_skipped_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    elsewhere = main()
    monkeypatch.setenv("CI", "1")

    assert (elsewhere, main()) == (0, 1)
    assert capsys.readouterr().out.count("there is no kubectl on the PATH") == 2


def test_check_says_what_kubectl_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    require_kubectl()
    (tmp_path / "overlays/broken").mkdir(parents=True)
    (tmp_path / "overlays/broken/kustomization.yaml").write_text("resources: [missing.yaml]\n")
    monkeypatch.setattr("manifests.OVERLAYS", ("broken",))
    monkeypatch.setattr("manifests.render.__defaults__", (tmp_path,))

    assert main() == 1
    assert "missing.yaml" in capsys.readouterr().err
