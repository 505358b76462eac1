"""What is still English on a page in another language."""

import re
from html.parser import HTMLParser

from chalicelib.domain.journal import FUNCTIONS

READ_ALOUD = ("alt", "aria-label", "placeholder", "title")
NOT_WORDS = frozenset({"code", "pre", "script", "style"})
VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "source"})
# Names, which are the same in every language, and data.
NAMES = frozenset({"Vestnik", "API", "CSV", "UTF", "IANA", "UTC", "GSM", "UCS", *FUNCTIONS})
DATA = re.compile(
    r"\b[0-9A-Z]{26}\b"  # ids
    r"|\b[A-Z][A-Za-z]+/[A-Za-z_]+"  # time zones
    r"|\bletter-[0-9]+|\bhttp_[0-9]+"  # dead letters, and answers of the provider
    r"|\b[A-Z]+_[A-Z]+\b"  # settings
    r"|^/start$"  # an example
)
WORD = re.compile(r"[A-Za-z]{2,}")


class _Reader(HTMLParser):
    """Collects what is read in the page's own language: text and descriptions."""

    def __init__(self) -> None:
        super().__init__()
        self.language = ""
        self.read: list[str] = []
        self._skipped: list[str] = []  # open tags, from the first that is not read

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.language = given["lang"]
        elif tag in VOID:
            self._describe(given)
        elif self._skipped or tag in NOT_WORDS or given.get("lang", self.language) != self.language:
            self._skipped.append(tag)
        else:
            self._describe(given)

    def handle_endtag(self, tag: str) -> None:
        if self._skipped and tag == self._skipped[-1]:
            self._skipped.pop()

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.read.append(data)

    def _describe(self, given: dict[str, str]) -> None:
        if not self._skipped:
            self.read += [given[name] for name in READ_ALOUD if name in given]


def english_on(page: str, *data: str) -> list[str]:
    """List the texts with Latin words that are neither names nor data, nor marked as of another language."""
    reader = _Reader()
    reader.feed(page)
    return [text.strip() for text in reader.read if set(WORD.findall(DATA.sub("", text))) - NAMES - {*data}]
