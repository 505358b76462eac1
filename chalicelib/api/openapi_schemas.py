"""The JSON schemas of wire models, as an OpenAPI document has them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from chalicelib.api.resource import Operation
from chalicelib.api.schemas import WireModel

Json = dict[str, Any]
Mode = Literal["validation", "serialization"]

_PREFIX = "#/components/schemas/"
_LIST = re.compile(r"ListResponse\[(\w+?)(?:Response)?\]")


class _Named(GenerateJsonSchema):
    """Names shapes as their classes are named, and fields not a second time.

    Generators of clients name classes by these names and titles.
    """

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - Pydantic asks for each
        """Leave out titles of fields: they would say what the names say."""
        return False

    def normalize_name(self, name: str) -> str:
        """Make `ClientList` of `ListResponse[ClientResponse]`, as its class is named."""
        return super().normalize_name(_LIST.sub(r"\1List", name))


class Schemas:
    """The schemas of all shapes that operations are given or show, each once, by its name."""

    def __init__(self, operations: Sequence[Operation], shown: Iterable[type[WireModel]]) -> None:
        wanted: dict[tuple[type[WireModel], Mode], None] = {}
        for operation in operations:
            wanted[operation.query, "validation"] = None
            if operation.body and operation.body.model_fields:
                wanted[operation.body, "validation"] = None
            if operation.answer:
                wanted[operation.answer, "serialization"] = None
        wanted |= dict.fromkeys((model, "serialization") for model in shown)
        self._references, made = models_json_schema(
            list(wanted), ref_template=f"{_PREFIX}{{model}}", schema_generator=_Named
        )
        self.definitions: Json = dict(sorted(made["$defs"].items()))
        # Query strings are no shapes of their own in OpenAPI, but parameters, each for itself.
        self._queries = {
            query: self.definitions.pop(self.given(query)["$ref"].removeprefix(_PREFIX))
            for query in {operation.query for operation in operations}
        }

    def given(self, model: type[WireModel]) -> Json:
        """Refer to what a request holds."""
        return self._references[model, "validation"]

    def shown(self, model: type[WireModel]) -> Json:
        """Refer to what an answer holds."""
        return self._references[model, "serialization"]

    def parameters(self, query: type[WireModel]) -> Iterator[Json]:
        """Describe the parameters of a query string."""
        described = self._queries[query]
        for name, field in described.get("properties", {}).items():
            schema = _never_null(field)
            description = schema.pop("description")
            required = name in described.get("required", ())
            yield {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def _never_null(field: Json) -> Json:
    """Leave null out of a schema: a parameter is given or is not."""
    if "anyOf" not in field:
        return dict(field)
    (alternative,) = (dict(each) for each in field["anyOf"] if each != {"type": "null"})
    return alternative | {name: value for name, value in field.items() if name not in {"anyOf", "default"}}
