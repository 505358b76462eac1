"""The daily report in words: both bodies, both languages, and nothing of a mailing that would be taken for markup."""

import re
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from html import unescape
from importlib import resources
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.language import LANGUAGES, Language
from chalicelib.domain.mailing import MailingStatus
from chalicelib.domain.message import Reason
from chalicelib.domain.report_day import ReportDay
from chalicelib.report.writing import CATALOGUE, PACKAGE, SHOWN_OF_TEXT, ReportWriter
from chalicelib.services.gather_report import Gap, MailingFigures, NightlyCheck, Report, Traffic
from chalicelib.services.read_statistics import Counts
from tests.builders import mailing, ulid

ZONE = "Europe/Moscow"
DAY = ReportDay.of(date(2026, 11, 22), ZoneInfo(ZONE))
AT = DAY.begins_at + timedelta(hours=18, minutes=30)
CHECK = NightlyCheck(DAY.ends_at + timedelta(hours=3), {"right": 41, "drift": 0, "busy": 1, "unchecked": 2}, ())
ATTACK = '<script>alert("1")</script> & "all"'


def figures(number: int = 1, text: str = "Your order has arrived.", **changes: object) -> MailingFigures:
    made = mailing(id=ulid(number), text=text, status=MailingStatus.FINISHED, finished_at=AT)
    return MailingFigures(replace(made, **changes), Counts(sent=1250, failed=3, expired=2), Counter(), 0, 0)  # type: ignore[arg-type]


REPORT = Report(
    day=DAY,
    before=DAY.before,
    traffic=Traffic(184_312, 271, 12, 40, Counter(refused=240, attempts=31), 1, 3),
    traffic_before=Traffic(201_450, 305, 0, 0, Counter(refused=300, timezone=5), 4, 3),
    ended=[figures()],
    open=[],
    check=CHECK,
    dead_letters=dict.fromkeys(DeadQueue, 0),
    uncounted=0,
    gaps=frozenset(),
)
AILING = replace(
    REPORT,
    check=replace(CHECK, verdicts={"drift": 2}, drifting=(ulid(7), ulid(8))),
    dead_letters={DeadQueue.SEND: 1200, DeadQueue.PLAN: 0, DeadQueue.IMPORT: 2},
    uncounted=1,
    gaps=frozenset(Gap),
    open=[figures(2, status=MailingStatus.RUNNING), figures(3, status=MailingStatus.PAUSED)],
)


def written(report: Report, language: Language = "en") -> tuple[str, str, str]:
    content = ReportWriter(language, ZONE, "vestnik")(report)
    assert content.language == language
    return content.subject, content.text, content.html


def row(text: str, label: str) -> list[str]:
    """Read what stands behind a label: this day, the day before, the change."""
    (found,) = [line for line in text.splitlines() if line.startswith(f"{label}  ")]
    return re.split(r"\s{2,}", found)[1:]


def words_of(html: str) -> str:
    """Read an HTML body as its reader does."""
    body = re.sub(r"(?s)<style>.*?</style>|<title>.*?</title>", "", html)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_subject_has_the_day_and_the_numbers_that_matter() -> None:
    assert written(REPORT)[0] == "Vestnik, 22 November 2026: 184,312 sent, 271 failed"
    subject, *_ = written(REPORT, "ru")
    assert subject == "Vestnik, 22 ноября 2026: отправлено 184\xa0312, не отправлено 271"


def test_numbers_stand_beside_those_of_the_day_before() -> None:
    _, text, _ = written(REPORT)
    assert row(text, "Sent") == ["184,312", "201,450", "−17,138"]
    assert row(text, "Failed") == ["271", "305", "−34"]
    assert row(text, "Expired") == ["12", "0", "+12"]
    assert row(text, "Cancelled") == ["40", "0", "+40"]
    assert row(text, "New mailings") == ["3", "3", "="]
    assert row(text, "refused by the provider") == ["240", "300", "−60"]
    assert row(text, "out of attempts") == ["31", "0", "+31"]
    assert row(text, "time zone unknown") == ["0", "5", "−5"]


def test_mailings_that_ended_have_their_numbers_and_local_times() -> None:
    _, text, _ = written(REPORT)
    assert (
        f"Your order has arrived.\nfinished 22 Nov, 18:30, {ulid(1)}\nsent 1,250, failed 3, expired 2, cancelled 0\n"
    ) in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("report", [REPORT, AILING])
def test_both_bodies_say_the_same(report: Report, language: Language) -> None:
    _, text, html = written(report, language)
    shown = words_of(html)
    for line in text.splitlines():
        for part in re.split(r"\s{2,}|^- |^-- ", line):
            assert " ".join(part.split()) in shown


def test_good_day_says_so_and_a_bad_one_what_is_to_be_looked_at() -> None:
    assert "All is well." in written(REPORT)[1]
    _, text, _ = written(AILING)
    assert "All is well." not in text
    assert text.partition("To be looked at:\n")[2].partition("\n\n")[0].splitlines() == [
        f"- The counters of 2 mailings drift; make repair sets them right: {ulid(7)}, {ulid(8)}",
        "- Dead letters wait to be looked at and redriven: send 1,200, import 2",
        "- Not all mailings could be read: the numbers are too low.",
        "- 1 mailing is not counted in the numbers.",
        "- New mailings could not be counted.",
        "- What the check of the counters found could not be read.",
        "- Dead letters could not be counted.",
    ]
    assert "2 mailings are still open: 0 messages wait, 6 have failed so far." in text


@pytest.mark.parametrize(
    ("changes", "notice"),
    [
        ({"check": None}, "No check of the counters has come to its end in the last 25 hours."),
        ({"gaps": frozenset({Gap.CREATED})}, "New mailings could not be counted."),
        ({"uncounted": 3}, "3 mailings are not counted in the numbers."),
        ({"dead_letters": {DeadQueue.PLAN: 1}}, "Dead letters wait to be looked at and redriven: plan 1"),
    ],
)
def test_one_thing_that_is_not_well_is_enough(changes: dict[str, object], notice: str) -> None:
    _, text, html = written(replace(REPORT, **changes))  # type: ignore[arg-type]
    assert f"To be looked at:\n- {notice}\n" in text
    assert notice in words_of(html)


def test_day_on_which_nothing_ended_says_none() -> None:
    _, text, html = written(replace(REPORT, ended=[], traffic=Traffic(), traffic_before=Traffic()))
    assert "Mailings that ended\nNone.\n" in text
    assert "Failures by cause" not in text + html


def test_mailings_that_are_not_listed_are_counted() -> None:
    report = replace(REPORT, traffic=replace(REPORT.traffic, ended=22))
    assert "and 21 mailings more" in written(report)[1]
    assert "и ещё 21 рассылка" in written(report, "ru")[1]


def test_text_of_a_mailing_is_never_markup_and_stays_on_one_line() -> None:
    _, text, html = written(replace(REPORT, ended=[figures(text=f"{ATTACK}\r\n\nBcc: x@y.example")]))
    assert f"\n{ATTACK} Bcc: x@y.example\n" in text
    assert "<script" not in html
    assert ATTACK in words_of(html)


def test_long_texts_are_cut() -> None:
    _, text, html = written(replace(REPORT, ended=[figures(text="word " * 100)]))
    (line,) = [line for line in text.splitlines() if line.startswith("word")]
    assert (len(line), line[-1]) == (SHOWN_OF_TEXT, "…")
    assert line in html


def test_cancelled_mailing_is_told_of_as_such() -> None:
    ended = [figures(status=MailingStatus.CANCELLED, updated_at=AT, finished_at=None)]
    assert f"\ncancelled 22 Nov, 18:30, {ulid(1)}\n" in written(replace(REPORT, ended=ended))[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_html_needs_nothing_from_elsewhere(language: Language) -> None:
    _, _, html = written(AILING, language)
    assert not re.findall(r"(?:src|href)=|url\(|@import|<script", html)
    assert f'<html lang="{language}">' in html


def test_each_cause_of_a_failure_has_words() -> None:
    causes = Counter({reason.value: 1 for reason in Reason})
    _, text, _ = written(replace(REPORT, traffic=replace(REPORT.traffic, causes=causes)))
    named = {line.split("  ")[0] for line in text.splitlines()}
    assert not named & {"refused", "attempts", "uncertain", "timezone", "crash"}


class TestCatalogue:
    SOURCE = resources.files(PACKAGE)

    def messages(self, language: Language) -> dict[str, object]:
        path = self.SOURCE / "locale" / language / "LC_MESSAGES" / f"{CATALOGUE}.po"
        with path.open("rb") as file:
            return {
                str(message.id if isinstance(message.id, str) else message.id[0]): message.string
                for message in read_po(file, locale=language)
                if message.id
            }

    @pytest.mark.parametrize("language", [language for language in get_args(Language) if language != "en"])
    def test_each_message_of_the_templates_is_translated_and_no_other(self, language: Language) -> None:
        found = extract_from_dir(
            str(self.SOURCE / "templates"),
            method_map=[("**.*", "jinja2")],
            options_map={"**.*": {"trimmed": "false", "silent": "false"}},
        )
        asked = {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}
        translated = self.messages(language)
        assert translated.keys() == asked
        for message, said in translated.items():
            for each in [said] if isinstance(said, str) else list(said):  # type: ignore[call-overload]
                assert each.strip()
                assert set(re.findall(r"%\(\w+\)s", each)) == set(re.findall(r"%\(\w+\)s", message))

    def test_numbers_of_mailings_are_declined(self) -> None:
        for uncounted, words in ((1, "1 рассылка не вошла"), (3, "3 рассылки не вошли"), (11, "11 рассылок не вошли")):
            assert words in written(replace(REPORT, uncounted=uncounted), "ru")[1]
