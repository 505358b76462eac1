"""`/openapi.json`: the API, described by itself."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Annotated

from chalice.app import Response

from chalicelib.api.openapi import document
from chalicelib.api.resource import Resource
from chalicelib.bootstrap import application


def documented(resources: Sequence[Resource]) -> Resource:
    """Make the resource that describes these resources and itself."""
    documentation = Resource(__name__, tag="service")

    @cache
    def text(issuer_url: str | None) -> str:
        operations = [operation for resource in (*resources, documentation) for operation in resource.operations]
        return json.dumps(document(operations, issuer_url))

    @documentation.get("/openapi.json", None)
    def read_openapi() -> Annotated[Response, "application/json"]:
        """Describe this API by OpenAPI 3.1."""
        return Response(text(application().settings.issuer_url), {"Content-Type": "application/json"})

    return documentation
