"""Pages as HTML: Jinja2 templates, escaped, in the reader's language and time zone."""

import gettext
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from io import BytesIO
from typing import Any

from babel.dates import format_datetime, get_timezone_name
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from chalicelib.admin.preferences import Language, Preferences
from chalicelib.admin.sentences import Sentences
from chalicelib.domain.timezone import resolve_timezone


def render(template: str, preferences: Preferences, values: Mapping[str, Any]) -> str:
    """Render a template; each has `preferences`, and the filters below."""
    return _environment(preferences.language).get_template(template).render(preferences=preferences, **values)


@cache
def translations(language: Language) -> gettext.NullTranslations:
    """Read the messages of a language; English is what the templates say themselves."""
    if language == "en":
        return gettext.NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, _catalogue(language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@cache
def _catalogue(language: Language) -> Catalog:
    source = resources.files("chalicelib.admin") / "locale" / language / "LC_MESSAGES" / "admin.po"
    with source.open("rb") as messages:
        return read_po(messages, locale=language)


@cache
def sentences(language: Language) -> Sentences:
    """Read what the program says beside the templates, in a language that is not its own."""
    return Sentences.of(_catalogue(language))


@cache
def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=PackageLoader("chalicelib.admin"),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
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
