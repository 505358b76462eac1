"""The daily report, once a day: triggers that come twice, kills, refusals, settings that are wrong."""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from chalicelib.domain.journal import Line
from chalicelib.domain.report_day import ReportDay
from chalicelib.errors import ConfigurationError, RefusedMailError, TransientError
from chalicelib.services.gather_report import GatherReport, Report
from chalicelib.services.receive_report import receive_report
from chalicelib.services.send_report import Content, Outcome, ReportPlan, SendReport
from tests.builders import NOW
from tests.fakes.dead_letters import FakeDeadLetters
from tests.fakes.reports import FakeMailer, FakeReportClaims
from tests.fakes.watched import Hook, Killed, KillSwitch, Moment, failing, watched
from tests.log_lines import log_lines
from tests.world import World

if TYPE_CHECKING:
    from chalicelib.ports import Mailer, ReportClaims

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
RUN = timedelta(seconds=57)  # of a function that has 60 s
ZONE = ZoneInfo("Europe/Moscow")
YESTERDAY = date(2026, 11, 22)
PLAN = ReportPlan("reports@vestnik.example", ("a@one.example", "b@two.example"), ZONE, 9)
SCHEDULED = {"source": "aws.events"}


class NoLogs:
    """A log in which nothing stands (port: `FunctionLogs`)."""

    def pages(self, function: str, terms: Sequence[str], since: datetime) -> Iterator[Sequence[Line]]:  # noqa: ARG002
        return iter(())


class Morning:
    """The report on fakes; it is NOW, nine o'clock in Moscow."""

    def __init__(self, plan: ReportPlan | None = PLAN) -> None:
        self.world = World()
        self.mailer = FakeMailer()
        self.claims = FakeReportClaims()
        self.written: list[Report] = []
        self._plan = plan
        self._numbers = count(1)

    def use_case(self, hook: Hook | None = None) -> SendReport:
        claims: ReportClaims = self.claims
        mailer: Mailer = self.mailer
        if hook:
            claims = watched(claims, hook, "claim", "record_sent", "give_back")
            mailer = watched(mailer, hook, "send")
        world = self.world
        gather = GatherReport(
            world.mailings,
            world.messages,
            FakeDeadLetters(world.clock),
            NoLogs(),
            world.clock,
        )
        return SendReport(
            self._plan, gather, self._write, mailer, claims, world.clock, lambda: f"call-{next(self._numbers)}"
        )

    def called(self, hook: Hook | None = None) -> Outcome:
        return self.use_case(hook).when_due(self.world.clock() + RUN)

    def days(self) -> list[date]:
        return [report.day.local_date for report in self.written]

    def _write(self, report: Report) -> Content:
        self.written.append(report)
        return Content("en", f"of {report.day.local_date}", "text", "<p>html</p>")


@pytest.fixture
def morning() -> Morning:
    return Morning()


def test_report_of_yesterday_goes_to_all_recipients_when_its_hour_has_come(morning: Morning) -> None:
    morning.world.clock.now = NOW - MINUTE
    assert morning.called() is Outcome.NOT_DUE
    morning.world.clock.now = NOW
    assert morning.called() is Outcome.SENT
    (mail,) = morning.mailer.sent
    assert (mail.sender, mail.recipients) == (PLAN.sender, PLAN.recipients)
    assert (mail.subject, mail.text, mail.html, mail.language) == ("of 2026-11-22", "text", "<p>html</p>", "en")
    assert morning.days() == [YESTERDAY]


def test_each_day_has_one_report_however_often_the_trigger_comes(morning: Morning) -> None:
    for _ in range(3 * 24 * 4):
        morning.called()
        morning.world.clock.advance(15 * MINUTE)
    assert [mail.subject for mail in morning.mailer.sent] == ["of 2026-11-22", "of 2026-11-23", "of 2026-11-24"]


def test_triggers_at_the_same_time_send_one_report(morning: Morning) -> None:
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: morning.called(), range(8)))
    assert sorted(outcomes) == sorted([Outcome.SENT, *[Outcome.CLAIMED] * 7])
    assert len(morning.mailer.sent) == 1


def test_without_recipients_nothing_is_sent() -> None:
    morning = Morning(plan=None)
    assert morning.called() is Outcome.NO_RECIPIENTS
    assert morning.use_case().now("today", NOW + RUN) is Outcome.NO_RECIPIENTS
    assert morning.mailer.sent == []


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize(("n", "what"), [(1, "claim"), (2, "send"), (3, "record_sent")])
def test_killed_anywhere_it_is_sent_all_the_same_and_twice_only_between_mail_and_record(
    morning: Morning, n: int, what: str, moment: Moment
) -> None:
    with pytest.raises(Killed, match=what):
        morning.called(KillSwitch(n, moment))
    assert morning.called() in {Outcome.SENT, Outcome.CLAIMED}, "a second trigger in the same moment"
    morning.world.clock.advance(15 * MINUTE)
    morning.called()
    unrecorded = (what, moment) in {("send", Moment.AFTER), ("record_sent", Moment.BEFORE)}
    assert [mail.subject for mail in morning.mailer.sent] == ["of 2026-11-22"] * (2 if unrecorded else 1)
    assert YESTERDAY in morning.claims.sent


def test_claim_of_the_dead_is_over_before_lambda_calls_again(morning: Morning) -> None:
    with pytest.raises(Killed):
        morning.called(KillSwitch(2, Moment.BEFORE))
    morning.world.clock.advance(RUN)
    assert morning.called() is Outcome.CLAIMED, "it may be alive until then"
    morning.world.clock.advance(timedelta(seconds=6))
    assert morning.called() is Outcome.SENT


def test_refused_mail_may_be_tried_again_at_once(morning: Morning) -> None:
    morning.mailer.refusal = "Email address is not verified"
    for _ in range(2):
        with pytest.raises(RefusedMailError, match="not verified"):
            morning.called()
    morning.mailer.refusal = None
    assert morning.called() is Outcome.SENT
    assert len(morning.mailer.sent) == 1


def test_refusal_is_told_though_the_claim_cannot_be_given_back(morning: Morning) -> None:
    morning.mailer.refusal = "not verified"

    def hook(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.BEFORE, "give_back"):
            raise TransientError("throttled")

    with log_lines() as lines, pytest.raises(RefusedMailError):
        morning.called(hook)
    assert [line.message for line in lines] == ["report's claim not given back"]


def test_mail_of_which_nobody_knows_waits_for_the_claim_to_end(morning: Morning) -> None:
    morning.mailer.silent = True
    with pytest.raises(TransientError):
        morning.called()
    assert morning.called() is Outcome.CLAIMED
    assert len(morning.mailer.sent) == 1


def test_report_that_failed_all_day_does_not_keep_the_next_one_back(morning: Morning) -> None:
    morning.mailer.refusal = "not verified"
    while morning.world.clock() < NOW + 20 * HOUR:
        with contextlib.suppress(RefusedMailError):
            morning.called()
        morning.world.clock.advance(15 * MINUTE)
    morning.mailer.refusal = None
    morning.world.clock.now = NOW + 24 * HOUR
    assert morning.called() is Outcome.SENT
    assert [mail.subject for mail in morning.mailer.sent] == ["of 2026-11-23"]


@pytest.mark.parametrize(("asked", "day"), [("yesterday", YESTERDAY), ("today", date(2026, 11, 23))])
def test_operator_has_a_report_sent_at_once_and_as_often_as_wished(morning: Morning, asked: str, day: date) -> None:
    morning.world.clock.now = NOW - 8 * HOUR
    for _ in range(2):
        answer = receive_report({"day": asked}, morning.use_case, NOW + RUN)
        assert answer == {"outcome": "sent"}
    assert morning.days() == [day, day]
    morning.world.clock.now = NOW
    assert morning.called() is Outcome.SENT, "what was asked for by hand is not the day's own"


def test_report_has_the_bounds_of_the_set_zone(morning: Morning) -> None:
    morning.called()
    assert morning.written[0].day == ReportDay.of(YESTERDAY, ZONE)
    assert morning.written[0].day.begins_at.tzinfo is UTC


# --- Where it is asked for


def metrics(capsys: pytest.CaptureFixture[str]) -> list[list[int]]:
    lines = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    return [line["ReportFailed"] for line in lines if "ReportFailed" in line]


def test_schedule_is_answered_with_what_came_of_it(morning: Morning, capsys: pytest.CaptureFixture[str]) -> None:
    assert receive_report(SCHEDULED, morning.use_case, NOW + RUN) == {"outcome": "sent"}
    assert receive_report(SCHEDULED, morning.use_case, NOW + RUN) == {"outcome": "sent before, or being sent"}
    assert metrics(capsys) == []


def unparsed() -> SendReport:
    raise ConfigurationError("settings do not parse: REPORT_ZONE: 'Mars' is neither")


def refused() -> SendReport:
    morning = Morning()
    morning.mailer.refusal = "Email address is not verified: reports@vestnik.example"
    return morning.use_case()


def unclaimed() -> SendReport:
    return Morning().use_case(failing(TransientError("throttled")))


@pytest.mark.parametrize(
    ("made", "error", "words"),
    [
        (unparsed, ConfigurationError, "REPORT_ZONE"),
        (refused, RefusedMailError, "not verified"),
        (unclaimed, TransientError, "throttled"),
    ],
)
def test_failure_is_logged_counted_and_left_to_lambda(
    capsys: pytest.CaptureFixture[str], made: Callable[[], SendReport], error: type[Exception], words: str
) -> None:
    with log_lines() as lines, pytest.raises(error, match=words):
        receive_report(SCHEDULED, made, NOW + RUN)
    assert metrics(capsys) == [[1]]
    (line,) = lines
    assert (line.message, line.levelname) == ("report not sent", "ERROR")
    assert words in line.__dict__["error"]


@pytest.mark.parametrize(
    ("event", "field"), [({}, "day"), ({"day": "tomorrow"}, "day"), ({"day": "today", "to": "x@y.example"}, "to")]
)
def test_what_asks_for_no_report_is_answered_with_an_error_that_names_the_field(
    morning: Morning, event: dict[str, str], field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = receive_report(event, morning.use_case, NOW + RUN)
    assert answer["error"].startswith(f"{field}: ")
    assert (morning.mailer.sent, metrics(capsys)) == ([], [])
