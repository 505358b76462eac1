"""The daily report in words: subject, text and HTML, in the language that is set."""

from datetime import date, datetime, tzinfo
from functools import cache, partial
from typing import Any

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal
from jinja2 import Environment

from chalicelib.domain.language import Language
from chalicelib.localization import make_environment
from chalicelib.services.gather_report import Gap, Report
from chalicelib.services.send_report import Content

PACKAGE, CATALOGUE = "chalicelib.report", "report"
SHOWN_OF_TEXT = 60


class ReportWriter:
    """Writes reports of one stack in one language, with times as the clock of `zone_name` shows them."""

    def __init__(self, language: Language, zone_name: str, stack_name: str) -> None:
        self._language = language
        self._zone_name = zone_name
        self._stack_name = stack_name

    def __call__(self, report: Report) -> Content:
        """Write a report."""
        environment = _environment(self._language, report.day.zone)
        values: dict[str, Any] = {
            "report": report,
            "gaps": Gap,
            "language": self._language,
            "zone_name": self._zone_name,
            "stack_name": self._stack_name,
            "well": is_well(report),
        }
        subject, text, html = (
            environment.get_template(part).render(values) for part in ("subject.txt", "text.txt", "page.html")
        )
        return Content(self._language, subject.strip(), text, html)


def is_well(report: Report) -> bool:
    """Tell whether nothing in the report asks for somebody to act."""
    checked = report.check is not None and not report.check.verdicts.get("drift")
    return checked and not any(report.dead_letters.values()) and not report.gaps and not report.uncounted


@cache
def _environment(language: Language, zone: tzinfo) -> Environment:
    environment = make_environment(language, PACKAGE, CATALOGUE)
    environment.filters |= {
        "number": partial(format_decimal, locale=language),
        "day": partial(_day, language=language),
        "begin": _begin,
        "change": partial(_change, language=language),
        "moment": partial(_moment, zone=zone, language=language),
    }
    return environment


def _day(day: date, language: Language) -> str:
    return format_date(day, "d MMMM y", locale=language)


def _moment(moment: datetime, zone: tzinfo, language: Language) -> str:
    return format_datetime(moment.astimezone(zone), "d MMM, HH:mm", locale=language)


def _change(now: int, before: int, language: Language) -> str:
    """Write by how much a number is higher (+) or lower than before."""
    return format_decimal(now - before, "+#,##0;−#,##0", locale=language) if now != before else "="


def _begin(text: str) -> str:
    """Shorten the text of a mailing to one line by which people know it."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_OF_TEXT else f"{line[: SHOWN_OF_TEXT - 1].rstrip()}…"
