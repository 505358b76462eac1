"""Where the daily report is asked for: by its schedule, four times an hour, or by an operator, at once."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic import ValidationError as PydanticValidationError

from chalicelib.observability import count
from chalicelib.services.send_report import Asked, Outcome, SendReport

logger = logging.getLogger(__name__)


class ReportRequest(BaseModel):
    """Send the report of that day now."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    day: Asked


def receive_report(event: Mapping[str, Any], made: Callable[[], SendReport], stop_at: datetime) -> dict[str, str]:
    """Send what the event asks for.

    Args:
        event: of a schedule (`{"source": "aws.events"}`, other fields as they may be), or a `ReportRequest`.
        made: makes the use case; raises if its settings are wrong, which must be seen as any other failure is.
        stop_at: when the mail must be on its way.

    Returns:
        `{"outcome": …}`, or `{"error": str}` if the event is neither.

    Raises:
        Exception: whatever keeps the report from being sent; it is counted as the metric `ReportFailed`. Lambda calls
            again, twice, and then puts the event into the dead-letter queue.
    """
    scheduled = event.get("source") == "aws.events"
    try:
        request = None if scheduled else ReportRequest.model_validate(event)
    except PydanticValidationError as error:
        wrong = (f"{'.'.join(map(str, issue['loc'])) or 'payload'}: {issue['msg']}" for issue in error.errors())
        return {"error": "; ".join(wrong)}
    try:
        send = made()
        outcome = send.now(request.day, stop_at) if request else send.when_due(stop_at)
    except Exception as error:
        logger.error("report not sent", extra={"error": str(error)})  # noqa: TRY400 - Lambda logs the traceback
        count("ReportFailed")
        raise
    if outcome is Outcome.SENT or request:
        logger.info("report asked for", extra={"outcome": outcome.value})
    return {"outcome": outcome.value}
