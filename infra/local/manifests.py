"""Renders the Kubernetes manifests and holds each document to the schemas of Kubernetes' API (`make check`)."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it ships no type information
import yaml

from local_error import LocalError

MANIFESTS = Path(__file__).resolve().parents[1] / "k8s"
OVERLAYS = ("local", "aws")
VERSIONS = ("1.29", "1.37")
"""Of Kubernetes: the oldest that the manifests are meant for, and the newest whose schemas there are."""
_KUBECTL = "kubectl"
_EXAMPLE = ".example"

Document = dict[str, Any]


def main() -> int:
    """Check; 1 with a line for each fault, and where CI has no kubectl."""
    if shutil.which(_KUBECTL) is None:
        print(f"manifests not checked: there is no {_KUBECTL} on the PATH (Debian package kubernetes-client)")
        return 1 if os.environ.get("CI") else 0
    faulty = False
    for overlay in OVERLAYS:
        try:
            documents = render(overlay)
        except LocalError as error:
            print(f"{overlay}: {error}", file=sys.stderr)
            faulty = True
            continue
        found = [fault for document in documents for fault in faults(document)]
        for fault in found:
            print(f"{overlay}: {fault}", file=sys.stderr)
        faulty = faulty or bool(found)
        print(f"{len(documents)} manifests of {overlay}, by the schemas of Kubernetes {' and '.join(VERSIONS)}")
    return int(faulty)


def render(overlay: str, manifests: Path = MANIFESTS) -> list[Document]:
    """Build an overlay from a copy; what is made for one cluster is taken from its example.

    Raises:
        LocalError: kubectl refuses it; the message has its words.
    """
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "k8s"
        shutil.copytree(manifests, copy)
        for example in copy.rglob(f"*{_EXAMPLE}"):
            example.replace(example.with_name(example.name.removesuffix(_EXAMPLE)))
        built = subprocess.run(
            [_KUBECTL, "kustomize", str(copy / "overlays" / overlay)], capture_output=True, text=True, check=False
        )
    if built.returncode:
        raise LocalError(f"kubectl kustomize: {built.stderr.strip()}")
    return list(filter(None, yaml.safe_load_all(built.stdout)))


def faults(document: Document) -> Iterator[str]:
    """Yield what is wrong with a document, by the strict schema of each version."""
    name = f"{document['kind']}/{document['metadata']['name']}"
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            place = ".".join(map(str, error.absolute_path))
            yield f"{name} {place}: {error.message} (Kubernetes {version})"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield f"{name}: {error.message}"


if __name__ == "__main__":
    sys.exit(main())
