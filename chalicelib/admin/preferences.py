"""How somebody likes the pages: language, theme and time zone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from chalicelib.domain.language import LANGUAGES, Language
from chalicelib.domain.timezone import UnknownTimezoneError, resolve_timezone

Theme = Literal["auto", "light", "dark"]
THEMES: tuple[Theme, ...] = get_args(Theme)


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a browser's cookies `language`, `theme` and `zone` say; `zone` is an IANA name or ±HH:MM."""

    language: Language = "en"
    theme: Theme = "auto"
    zone: str = "UTC"


def read_preferences(cookies: Mapping[str, str], accept_language: str) -> Preferences:
    """Read them; whatever is unknown has its default, the language that of `Accept-Language`."""
    language = next((each for each in LANGUAGES if each == cookies.get("language")), _accepted(accept_language))
    theme: Theme = next((each for each in THEMES if each == cookies.get("theme")), "auto")
    return Preferences(language, theme, _known_zone(cookies.get("zone", "UTC")))


def _known_zone(name: str) -> str:
    try:
        resolve_timezone(name)
    except UnknownTimezoneError:
        return "UTC"
    return name


def _accepted(header: str) -> Language:
    """Choose of the languages that a browser asks for, by their weights (RFC 9110, 12.5.4)."""
    best: tuple[float, Language] = (0.0, "en")
    for part in header.split(","):
        tag, _, parameters = part.strip().partition(";")
        try:
            weight = float(parameters.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        for language in LANGUAGES:
            if tag.lower().split("-")[0] == language and weight > best[0]:
                best = (weight, language)
    return best[1]
