"""The application: every function's entry point, one to three lines each.

Event handlers stand here and not in blueprints: Chalice packages a blueprint's handler under a path that
Lambda imports without this module, and its middleware silently does not run.
"""

import gc
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from chalice.app import Chalice, SQSEvent

from chalicelib.bootstrap import application
from chalicelib.config import answers_requests
from chalicelib.services.receive_check import receive_check
from chalicelib.services.receive_report import receive_report
from chalicelib.services.receive_tickets import receive_imports, receive_messages, receive_segments, receive_start

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# infra/template.yaml puts the real queue in its place. `queue=` would be packaged as an intrinsic function,
# and merging ours over it would give one with two keys; a plain string is replaced whole.
REPLACED_BY_TEMPLATE = "arn:aws:sqs:us-east-1:000000000000:replaced-by-infra-template-yaml"
TIME_TO_STOP = timedelta(seconds=3)  # what a function keeps of its timeout for recording and handing on
COLLECT_AFTER = 20_000  # new objects; Python's 700 are few where 64 requests are on their way

gc.set_threshold(COLLECT_AFTER)

app = Chalice(app_name="vestnik")
if answers_requests():
    from chalicelib import admin, api  # a sixth of what all there is takes to import

    api.register(app)
    admin.register(app)
gc.freeze()  # what was imported stays: no collection looks at it again


@app.lambda_function(name="planner")
def planner(event: dict[str, Any], _context: object) -> None:
    """Open a mailing and write its segments: called by its schedule, the API, or the dispatcher."""
    receive_start(event, application().plan_mailing)


@app.on_sqs_message(queue_arn=REPLACED_BY_TEMPLATE, name="plan_segment")
def plan_segment(event: SQSEvent) -> dict[str, Any]:
    """Plan segments of mailings' audiences."""
    built = application()
    return receive_segments(_records(event), built.plan_segment, built.tickets.dead_letter_segment, _stop_at(event))


@app.on_sqs_message(queue_arn=REPLACED_BY_TEMPLATE, name="sender")
def sender(event: SQSEvent) -> dict[str, Any]:
    """Send the messages that the tickets name; takes from the send queue and the express queue."""
    built = application()
    return receive_messages(_records(event), built.send_messages, built.tickets.dead_letter_messages, _stop_at(event))


@app.on_sqs_message(queue_arn=REPLACED_BY_TEMPLATE, name="importer")
def importer(event: SQSEvent) -> dict[str, Any]:
    """Import the files that were uploaded."""
    from chalicelib.api.import_rows import READERS  # noqa: PLC0415 - rows have the rules of requests, and with them the API

    built = application()
    return receive_imports(
        _records(event), built.run_import(READERS), built.tickets.dead_letter_import, _stop_at(event)
    )


@app.lambda_function(name="dispatcher")
def dispatcher(_event: dict[str, Any], context: object) -> None:
    """Tell how all stands, and bring back what was lost or late: each minute."""
    application().tell_figures()
    application().dispatch_due(_before_timeout(context))


@app.lambda_function(name="drift_check")
def drift_check(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Compare counters with rows: of what changed, by night; of one mailing, and set right, when asked to."""
    built = application()
    stop_at = _before_timeout(context)
    return receive_check(event, built.count_rest, built.check_changed, built.repair_counters, stop_at)


@app.lambda_function(name="daily_report")
def daily_report(event: dict[str, Any], context: object) -> dict[str, str]:
    """Send yesterday's statistics by e-mail, once, when it is time; of yesterday or today at once, when asked to."""
    return receive_report(event, lambda: application().send_report, _before_timeout(context))


def _records(event: SQSEvent) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = event.to_dict()["Records"]
    return records


def _stop_at(event: SQSEvent) -> datetime:
    return _before_timeout(event.context)


def _before_timeout(context: object) -> datetime:
    left = cast("LambdaContext", context).get_remaining_time_in_millis()
    return application().clock() + timedelta(milliseconds=left) - TIME_TO_STOP
