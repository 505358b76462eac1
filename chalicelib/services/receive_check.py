"""Where checks of counters are asked for: by the night's schedule for all mailings, by an operator for one."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic import ValidationError as PydanticValidationError

from chalicelib.errors import NotFoundError
from chalicelib.services.check_changed import CheckChanged
from chalicelib.services.check_drift import DriftReport
from chalicelib.services.count_rest import CountRest
from chalicelib.services.repair_counters import Repair, RepairCounters

logger = logging.getLogger(__name__)

Answer = dict[str, Any]


class CheckRequest(BaseModel):
    """Recount this mailing and, if asked for, set its counters right."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    mailing_id: Annotated[str, Field(min_length=1, max_length=64)]
    repair: bool = False


def receive_check(
    event: Mapping[str, Any],
    count_rest: CountRest,
    check_changed: CheckChanged,
    repair_counters: RepairCounters,
    stop_at: datetime,
) -> Answer:
    """Check what the event asks for.

    Args:
        event: of a schedule (`{"source": "aws.events"}`, other fields as they may be), or a `CheckRequest`.
        count_rest: does the first part of the night's work.
        check_changed: does the second.
        repair_counters: does an operator's.
        stop_at: when there must be an answer.

    Returns:
        For a schedule: how many mailings have each verdict. For a request: `mailing_id`, `verdict`, `detail`,
        `counters` (each with `counter`, `rows`, `counted`, `difference`), and under `after` the same of a recount after
        a repair, null if nothing was repaired. `{"error": str}` if the event is neither, or names no mailing of ours.
    """
    if event.get("source") == "aws.events":
        count_rest(stop_at)
        return {verdict.value: mailings for verdict, mailings in check_changed(stop_at).items()}
    try:
        request = CheckRequest.model_validate(event)
        return _answer(_carried_out(request, repair_counters, stop_at))
    except PydanticValidationError as error:
        wrong = (f"{'.'.join(map(str, issue['loc'])) or 'payload'}: {issue['msg']}" for issue in error.errors())
        return {"error": "; ".join(wrong)}
    except NotFoundError as error:
        return {"error": str(error)}


def _carried_out(request: CheckRequest, repair_counters: RepairCounters, stop_at: datetime) -> Repair:
    if request.repair:
        done = repair_counters(request.mailing_id, stop_at)
    else:
        done = Repair(repair_counters.check(request.mailing_id, stop_at))
    logger.info("counters recounted", extra={"mailing_id": request.mailing_id, "verdict": done.found.verdict})
    return done


def _answer(done: Repair) -> Answer:
    return _shown(done.found) | {"after": _shown(done.after) if done.after else None}


def _shown(report: DriftReport) -> Answer:
    return {
        "mailing_id": report.mailing_id,
        "verdict": report.verdict.value,
        "detail": report.detail,
        "counters": [
            {
                "counter": counter.name,
                "rows": counter.rows,
                "counted": counter.counted,
                "difference": counter.difference,
            }
            for counter in report.counters
        ],
    }
