"""Templates in a reader's language, for pages and mails alike: Jinja2, gettext, and the words of a package."""

import gettext
from functools import cache
from importlib import resources
from io import BytesIO

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from chalicelib.domain.language import Language


@cache
def read_catalogue(language: Language, package: str, catalogue: str) -> Catalog:
    """Read the messages of a package in a language.

    Args:
        language: of the reader; not English, which is what the package says itself.
        package: has them as `locale/<language>/LC_MESSAGES/<catalogue>.po`.
        catalogue: names them.
    """
    source = resources.files(package) / "locale" / language / "LC_MESSAGES" / f"{catalogue}.po"
    with source.open("rb") as messages:
        return read_po(messages, locale=language)


@cache
def translations(language: Language, package: str, catalogue: str) -> gettext.NullTranslations:
    """Make a package's messages ready for templates, as `read_catalogue` names them."""
    if language == "en":
        return gettext.NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, read_catalogue(language, package, catalogue))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def make_environment(language: Language, package: str, catalogue: str) -> Environment:
    """Make an environment of the package's `templates`, with its messages in a language; all but `.txt` is escaped."""
    environment = Environment(
        loader=PackageLoader(package),
        extensions=["jinja2.ext.i18n"],
        autoescape=select_autoescape(disabled_extensions=("txt",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    messages = translations(language, package, catalogue)
    environment.install_gettext_translations(messages, newstyle=True)  # type: ignore[attr-defined]
    return environment
