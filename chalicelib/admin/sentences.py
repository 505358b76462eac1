"""What rules, use cases and libraries say in English, in the reader's language.

They know nothing of languages: their sentences are found in the code by `make translations`, which writes each with
placeholders for its values into the catalogue, under the context `sentence`. Here a sentence is known again by them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from babel.messages.catalog import Catalog

CONTEXT = "sentence"

FROM_ELSEWHERE = (
    # What http.HTTPStatus calls what goes wrong; some have other names since Python 3.13.
    "Bad Request",
    "Conflict",
    "Content Too Large",
    "Forbidden",
    "Internal Server Error",
    "Method Not Allowed",
    "Not Found",
    "Precondition Failed",
    "Request Entity Too Large",
    "Request Header Fields Too Large",
    "Request-URI Too Long",
    "Service Unavailable",
    "Too Many Requests",
    "URI Too Long",
    "Unauthorized",
    "Unprocessable Content",
    "Unprocessable Entity",
    "Unsupported Media Type",
    # Pydantic's, of the shapes that forms are read into.
    "Extra inputs are not permitted",
    "Field required",
    "Input should be {expected}",
    "List should have at most {most} items after validation, not {found}",
    "String should have at least 1 character",
    "String should have at most {most} characters",
    "String should match pattern '^[0-9]{{3}}$'",
    "String should match pattern '^7[0-9]{{10}}$'",
    "String should match pattern '^([01][0-9]|2[0-3]):[0-5][0-9]$'",
)
"""Sentences of libraries."""

WORDS: Mapping[str, tuple[str, ...]] = {
    "role": ("viewer", "editor", "sender", "admin"),
    "status": ("deleted",),
    "done": ("started", "paused", "resumed", "cancelled", "retried"),
    "fixed": ("filter", "start_at", "filter and start_at"),
    "missing": ("phone and timezone",),
    "change": ("end_at",),
    "last_error": ("unknown",),
    "expected": ("'retry' or 'hold'",),
}
"""Words that stand in the place of a placeholder, by its name, which is their context."""

LONGEST = 2000  # characters; what is longer has something in it that somebody typed

_PLACEHOLDER = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")


def sentence(text: str) -> str:
    """Mark what a page says in the program's words, for `make translations` to find."""
    return text


def unescaped(template: str) -> str:
    """Write braces that stand for themselves once, as they are read."""
    return template.replace("{{", "{").replace("}}", "}")


@dataclass(frozen=True, slots=True)
class Sentences:
    """The sentences of a language.

    Attributes:
        plain: those without placeholders.
        patterns: those with some, the most telling first, each as an expression for the English one.
        words: by placeholder and word.
    """

    plain: Mapping[str, str]
    patterns: tuple[tuple[re.Pattern[str], str], ...]
    words: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, catalogue: Catalog) -> "Sentences":
        """Read them out of a catalogue."""
        plain, patterns, words = dict[str, str](), dict[str, str](), dict[tuple[str, str], str]()
        for message in catalogue:
            if isinstance(message.id, str) and isinstance(message.string, str) and message.string:
                if message.context != CONTEXT:
                    words[message.context or "", message.id] = message.string
                elif placeholders(message.id):
                    patterns[message.id] = message.string
                else:
                    plain[unescaped(message.id)] = message.string
        # A value at the beginning may be anything, even the beginning of another sentence.
        telling = sorted(patterns, key=lambda english: (english[0] == "{", -len(_PLACEHOLDER.sub("", english))))
        return cls(plain, tuple((_expression(english), patterns[english]) for english in telling), words)

    def translated(self, text: str) -> str | None:
        """Translate one sentence or several, or what is wrong behind what was typed; None if it is not known."""
        if len(text) > LONGEST:
            return None
        if known := self._sentences(text):
            return known
        typed, colon, fault = text.partition(": ")
        known = self._sentences(fault) if colon else None
        return known and f"{typed}: {known}"

    def _sentences(self, text: str) -> str | None:
        for end in re.finditer(r"(?<=\.) ", text):
            first = self._one(text[: end.start()])
            rest = self._sentences(text[end.end() :]) if first else None
            if rest:
                return f"{first} {rest}"
        return self._one(text)

    def _one(self, text: str) -> str | None:
        if text in self.plain:
            return self.plain[text]
        for expression, translation in self.patterns:
            if found := expression.fullmatch(text):
                return self._filled(translation, found.groupdict())
        return None

    def _filled(self, translation: str, values: Mapping[str, str]) -> str:
        def value(name: str) -> str:
            return self.words.get((name, values[name])) or self._sentences(values[name]) or values[name]

        return "".join(value(part) if is_name else unescaped(part) for part, is_name in _parts(translation))


def placeholders(template: str) -> Iterable[str]:
    """List the names of a sentence's placeholders, in order."""
    return _PLACEHOLDER.findall(template)


def _expression(english: str) -> re.Pattern[str]:
    parts = (f"(?P<{part}>.*?)" if is_name else re.escape(unescaped(part)) for part, is_name in _parts(english))
    return re.compile("".join(parts), re.DOTALL)


def _parts(template: str) -> Iterable[tuple[str, bool]]:
    """Take a sentence apart, into text and names by turns."""
    return [(part, number % 2 == 1) for number, part in enumerate(_PLACEHOLDER.split(template))]
