"""Pages as HTML: Jinja2 templates, escaped, in the reader's language and time zone."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from babel.dates import format_datetime, get_timezone_name
from babel.numbers import format_decimal, format_percent
from jinja2 import Environment, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from chalicelib.admin.preferences import Preferences
from chalicelib.admin.sentences import Sentences
from chalicelib.domain.language import Language
from chalicelib.domain.timezone import resolve_timezone
from chalicelib.localization import make_environment, read_catalogue

PACKAGE, CATALOGUE = "chalicelib.admin", "admin"


def render(template: str, preferences: Preferences, values: Mapping[str, Any]) -> str:
    """Render a template; each has `preferences`, and the filters below."""
    return _environment(preferences.language).get_template(template).render(preferences=preferences, **values)


@cache
def sentences(language: Language) -> Sentences:
    """Read what the program says beside the templates, in a language that is not its own."""
    return Sentences.of(read_catalogue(language, PACKAGE, CATALOGUE))


@cache
def _environment(language: Language) -> Environment:
    environment = make_environment(language, PACKAGE, CATALOGUE)
    environment.filters |= {"moment": _moment, "number": _number, "share": _share, "said": _said}
    return environment


@pass_context
def _moment(context: Context, moment: datetime | None) -> str:
    """Write a moment in the reader's zone, with the zone's name."""
    if moment is None:
        return "–"
    preferences: Preferences = context["preferences"]
    local = moment.astimezone(resolve_timezone(preferences.zone))
    shown = format_datetime(local, "d MMM y, HH:mm:ss", locale=preferences.language)
    return f"{shown} {_zone_name(local, preferences)}"


def _zone_name(local: datetime, preferences: Preferences) -> str:
    if preferences.zone == "UTC" or preferences.zone[0] in "+-":
        return preferences.zone
    return get_timezone_name(local, "short", locale=preferences.language)


@pass_context
def _number(context: Context, number: float) -> str:
    return format_decimal(number, locale=context["preferences"].language)


@pass_context
def _share(context: Context, share: float) -> str:
    return format_percent(share, "#,##0.#%", locale=context["preferences"].language)


@pass_context
def _said(context: Context, text: str) -> Markup:
    """Write what the program says in the reader's language; what is not known there stays, marked as English."""
    language: Language = context["preferences"].language
    if language == "en":
        return escape(text)
    translated = sentences(language).translated(text)
    return escape(translated) if translated else Markup('<span lang="en">{}</span>').format(text)
