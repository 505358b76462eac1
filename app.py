"""The application: every function's entry point, one to three lines each.

Event handlers stand here and not in blueprints: Chalice packages a blueprint's handler under a path that
Lambda imports without this module, and its middleware silently does not run.
"""

import logging
from typing import Any

from chalice.app import Chalice, CloudWatchEvent, Response, SQSEvent

logger = logging.getLogger(__name__)

# infra/template.yaml puts the real queue in its place. `queue=` would be packaged as an intrinsic function,
# and merging ours over it would give one with two keys; a plain string is replaced whole.
REPLACED_BY_TEMPLATE = "arn:aws:sqs:us-east-1:000000000000:replaced-by-infra-template-yaml"

app = Chalice(app_name="vestnik")


@app.route("/health")
def health() -> Response:
    """Say that the API answers."""
    return Response(body={"status": "ok"})


@app.lambda_function(name="planner")
def planner(event: dict[str, Any], _context: object) -> None:
    """Open a mailing and write its segments."""
    logger.warning("planner called with %s", event)


@app.on_sqs_message(queue_arn=REPLACED_BY_TEMPLATE, name="plan_segment")
def plan_segment(event: SQSEvent) -> dict[str, Any]:
    """Plan one segment of a mailing's audience."""
    logger.warning("plan_segment called with %d records", len(list(event)))
    return {"batchItemFailures": []}


@app.on_sqs_message(queue_arn=REPLACED_BY_TEMPLATE, name="sender")
def sender(event: SQSEvent) -> dict[str, Any]:
    """Send the messages that the tickets name."""
    logger.warning("sender called with %d records", len(list(event)))
    return {"batchItemFailures": []}


@app.schedule("rate(1 minute)", name="dispatcher")
def dispatcher(_event: CloudWatchEvent) -> None:
    """Look again at whatever is due."""
    logger.warning("dispatcher called")
