"""Templates in a reader's language, for pages and mails alike: Jinja2, gettext, and the words of a package."""

import gettext
from functools import cache
from importlib import resources
from io import BytesIO

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from chalicelib.domain.language import Language


@cache
def translations(language: Language, package: str, catalogue: str) -> gettext.NullTranslations:
    """Read the messages of a package; English is what its templates say themselves.

    Args:
        language: of the reader.
        package: has them as `locale/<language>/LC_MESSAGES/<catalogue>.po`.
        catalogue: names them.
    """
    if language == "en":
        return gettext.NullTranslations()
    source = resources.files(package) / "locale" / language / "LC_MESSAGES" / f"{catalogue}.po"
    compiled = BytesIO()
    with source.open("rb") as messages:
        write_mo(compiled, read_po(messages, locale=language))
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
