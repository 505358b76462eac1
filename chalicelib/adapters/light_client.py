"""botocore's DynamoDB client without the work that DynamoDB does not need: most of what a large call costs.

botocore walks each value of a request and of an answer through the description of the service, to turn what JSON has
no type for. Of items that is binary attributes alone, and no table here has one: what the JSON says is what callers
get. Where a description calls a structure a document, botocore passes it on as it is. It also searches each request for
names of tables that are ARNs, whose account may have an endpoint of its own; our tables have plain names.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.model import ServiceModel

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_DOCUMENT = {"type": "structure", "members": {}, "document": True}
_PASSED_ON = (
    "AttributeMap",  # any item of an answer
    "BatchGetRequestMap",
    "PartiQLBatchRequest",
    "PartiQLBatchResponse",
    "TransactWriteItemList",
)


def lighten(client: "DynamoDBClient") -> "DynamoDBClient":
    """Give this client, and no other one, a shorter description of its service. To be done before its first call."""
    described: Any = client.meta.service_model
    description = _lightened(described._service_description)  # noqa: SLF001 - to load it again would lengthen cold starts
    client.meta._service_model = ServiceModel(description, described.service_name)  # type: ignore[attr-defined]  # noqa: SLF001 - no other way in
    return client


def _lightened(description: Mapping[str, Any]) -> dict[str, Any]:
    operations = {
        name: {key: value for key, value in operation.items() if key != "operationContextParams"}
        for name, operation in description["operations"].items()
    }
    shapes = {**description["shapes"], **dict.fromkeys(_PASSED_ON, _DOCUMENT)}
    return {**description, "operations": operations, "shapes": shapes}
