"""The rendered manifests of an overlay, and ways to look at them."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from manifests import Document, render

NAME = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
HOST = ("api", "worker-plan-segment", "worker-sender", "worker-importer", "clock")
"""Deployments that run functions."""


def require_kubectl() -> None:
    """Without it CI fails and others skip."""
    if shutil.which("kubectl") is None:
        missing = "there is no kubectl on the PATH (Debian package kubernetes-client)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)


@dataclass(frozen=True, slots=True)
class Manifests:
    """What `kubectl apply -k` would send."""

    documents: list[Document]

    @classmethod
    def of(cls, overlay: str) -> "Manifests":
        require_kubectl()
        return cls(render(overlay))

    def of_kind(self, *kinds: str) -> dict[str, Document]:
        """Return the documents of some kinds, by name."""
        return {document["metadata"]["name"]: document for document in self.documents if document["kind"] in kinds}

    def pods(self) -> dict[str, Document]:
        """Return the pod template of each workload, by its name."""
        return {name: each["spec"]["template"] for name, each in self.of_kind("Deployment", "Job").items()}

    def containers(self) -> Iterator[tuple[str, Document]]:
        """Yield each container, with the name of its workload."""
        for name, pod in self.pods().items():
            for container in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]):
                yield name, container

    def settings(self) -> dict[str, str]:
        """Return the environment that all pods of the host have."""
        (found,) = (each for name, each in self.of_kind("ConfigMap").items() if name.startswith("vestnik-"))
        settings: dict[str, str] = found["data"]
        return settings


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Say whether a label selector takes what bears these labels."""
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items()) and all(
        {"In": labels.get(each["key"]) in each["values"]}[each["operator"]]
        for each in selector.get("matchExpressions", [])
    )


def labels(pod: Document) -> dict[str, str]:
    found: dict[str, str] = pod["metadata"]["labels"]
    return found
