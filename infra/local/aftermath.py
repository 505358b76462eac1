"""What has to be done about a past that came back: hold mailings, settle what was sent, keep opt-outs, recount."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from chalicelib.bootstrap import Application
from chalicelib.domain.mailing import STARTED, Mailing
from chalicelib.errors import NotFoundError
from chalicelib.services.check_drift import DriftReport, Verdict
from files import write_private
from targets import Target

MARGIN = timedelta(minutes=5)  # a request is logged before it is recorded, and tables are backed up one by one
TOUCHED_BEFORE = timedelta(hours=25)  # as the nightly check looks back
RECOUNT_WITHIN = timedelta(hours=1)
PAGE = 500


def why_not_by_log(
    logs: Any,  # noqa: ANN401 - boto3's clients are made at run time
    stack_name: str,
    settings: Mapping[str, str],
    moment: datetime,
    now: datetime,
) -> str:
    """Say why the senders' log does not tell all requests since the moment; empty if it does."""
    level = settings.get("LOG_LEVEL") or "INFO"
    if level in {"WARNING", "ERROR"}:
        return f"senders log no requests at LOG_LEVEL={level}"
    group = f"/aws/lambda/{stack_name}-sender"
    found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    group_there = next((each for each in found if each["logGroupName"] == group), None)
    if group_there is None:
        return f"there is no log group {group}"
    kept_days = group_there.get("retentionInDays")
    if kept_days and now - moment > timedelta(days=kept_days):
        return f"the senders' log is kept for {kept_days} days only"
    if group_there["creationTime"] / 1000 > moment.timestamp():
        return f"the log group {group} was made after {moment:%Y-%m-%dT%H:%M:%SZ}"
    return ""


class Aftermath:
    """The steps after a restore, each of which may be run again.

    Args:
        application: of the stack.
        target: where the stack is.
        moment: to which the tables went back.
        settings: the functions' environment.
        keep: the folder in which phones that opted out are kept until it is done, readable by its owner only.
    """

    def __init__(
        self, application: Application, target: Target, moment: datetime, settings: Mapping[str, str], keep: Path
    ) -> None:
        self._application = application
        self._target = target
        self._moment = moment
        self._settings = settings
        self._kept = keep / f"opted-out-{target.stack_name}"

    def keep_opt_outs(self) -> None:
        """Keep who has opted out by now, beside what an interrupted restore has kept."""
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        phones = self._read_kept() | self._suppressed()
        write_private(self._kept, "".join(f"{phone}\n" for phone in sorted(phones)))

    def settle(self) -> Iterator[str]:
        """Do the rest, print it, and yield what the operator has to see to."""
        held = self._application.hold_mailings()
        for ids, done, again in ((held.paused, "paused", "resume"), (held.drafts, "a draft again", "start")):
            for mailing_id in ids:
                print(f"mailing {mailing_id} is {done}; when it may go on: POST /mailings/{mailing_id}/{again}")
        settled: Sequence[str] = ()
        logs, now = self._target.client("logs"), self._application.clock()
        if reason := why_not_by_log(logs, self._target.stack_name, self._settings, self._moment, now):
            yield f"what was sent since is not settled: {reason}; what is resumed may be sent again"
        else:
            settled = self._by_log()
        yield from self._opt_out_again()
        yield from self._recount(settled)

    def _by_log(self) -> Sequence[str]:
        found = self._application.settle_from_log(self._moment - MARGIN)
        print(
            f"{found.requests} requests in the senders' log, {found.settled.total()} messages follow them", flush=True
        )
        for mailing_id, requests in found.unknown.items():
            print(f"mailing {mailing_id} is gone, and {requests} of its messages were sent: do not send it again")
        return list(found.settled)

    def _opt_out_again(self) -> Iterator[str]:
        if not self._kept.exists():
            yield "the table of suppressions was gone: who opted out since gets messages again"
            return
        again = self._read_kept() - self._suppressed()
        for phone in sorted(again):
            self._application.suppress_phones.one(phone)
        print(f"phones that opted out since, suppressed again: {len(again)}", flush=True)
        self._kept.unlink()

    def _suppressed(self) -> set[str]:
        phones, after = set[str](), None
        while True:
            page = self._application.suppressions.page(after, PAGE)
            phones.update(each.phone for each in page.items)
            after = page.next
            if after is None:
                return phones

    def _read_kept(self) -> set[str]:
        return set(self._kept.read_text().split()) if self._kept.exists() else set()

    def _recount(self, settled: Sequence[str]) -> Iterator[str]:
        """Set counters right: tables are backed up one by one, so that a transaction may be in one of them only."""
        verdicts = Counter[str]()
        for mailing_id in dict.fromkeys([*self._touched(), *settled]):
            report = self._repaired(mailing_id)
            if report is None:
                continue
            verdicts[report.verdict.value] += 1
            if report.verdict is not Verdict.RIGHT:
                yield f"counters of {mailing_id}, {report.verdict}: {report.detail}; make repair MAILING={mailing_id}"
        print(f"counters recounted: {dict(verdicts)}", flush=True)

    def _repaired(self, mailing_id: str) -> DriftReport | None:
        try:
            done = self._application.repair_counters(mailing_id, self._application.clock() + RECOUNT_WITHIN)
        except NotFoundError:  # it was deleted
            return None
        if done.after is not None:
            print(f"counters of {mailing_id} were set right: {dict(done.found.differences)}", flush=True)
        return done.after or done.found

    def _touched(self) -> Iterator[str]:
        after = None
        while True:
            page = self._application.mailings.page(None, after, PAGE)
            yield from (mailing.id for mailing in page.items if self._may_drift(mailing))
            after = page.next
            if after is None:
                return

    def _may_drift(self, mailing: Mailing) -> bool:
        return mailing.status in STARTED or mailing.updated_at >= self._moment - TOUCHED_BEFORE
