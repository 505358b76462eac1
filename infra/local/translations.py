"""`make translations` writes what the pages say into the catalogues; `make check` tells what is not translated well.

Words of templates are found by Jinja's own extractor. Sentences of the code are found in its syntax: what is passed to
an error that people read, whatever an explanation of a message says, and what is marked by `sentence`.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT))  # run by its path, this program finds its own folder only

from chalicelib.admin.sentences import CONTEXT, FROM_ELSEWHERE, WORDS, placeholders  # noqa: E402
from sentences_in_code import sentences_in  # noqa: E402 - these need the line above

ADMIN = ROOT / "chalicelib" / "admin"
CATALOGUES = {"ru": ADMIN / "locale" / "ru" / "LC_MESSAGES" / "admin.po"}
CODE = (
    "chalicelib/admin/*.py",
    "chalicelib/services/*.py",
    *(f"chalicelib/domain/{name}.py" for name in ("csv_rows", "explain_words", "local_window", "timezone")),
    *(f"chalicelib/adapters/{name}.py" for name in ("client_repository", "uploads")),
    *(
        f"chalicelib/api/{name}.py"
        for name in ("limits", "mailing_schemas", "middleware", "parameters", "problems", "schemas")
    ),
)
"""Where the sentences stand that people at the pages meet; callers of the API meet others, in English."""

_HEADER = re.compile(rb'msgid ""\nmsgstr ""\n(".*"\n)+')


def extracted() -> Catalog:
    """Collect everything that is to be translated."""
    found = Catalog()
    templates = extract_from_dir(ADMIN / "templates", [("**.html", "jinja2.ext:babel_extract")])
    for _, _, message, _, context in templates:
        found.add(message, context=context)
    for pattern in CODE:
        for path in sorted(ROOT.glob(pattern)):
            module = ast.parse(path.read_text(encoding="utf-8"))
            for sentence in sentences_in(module, all_returned=path.stem == "explain_words"):
                found.add(sentence, context=CONTEXT)
    for sentence in FROM_ELSEWHERE:
        found.add(sentence, context=CONTEXT)
    for context, words in WORDS.items():
        for word in words:
            found.add(word, context=context)
    return found


def read(language: str) -> Catalog:
    """Read a catalogue as it is stored."""
    with CATALOGUES[language].open("rb") as stored:
        return read_po(stored, locale=language)


def updated(stored: bytes, language: str, wanted: Catalog) -> bytes:
    """Write a catalogue anew: what is new is empty, what is no longer said goes to the end, commented out.

    The header stays as it is, and no line numbers are written: what changes are messages.
    """
    catalogue = read_po(BytesIO(stored), locale=language)
    catalogue.update(wanted, no_fuzzy_matching=True)
    written = BytesIO()
    write_po(written, catalogue, width=120, no_location=True, omit_header=True, sort_output=True)
    header = _HEADER.match(stored)
    return (header[0] if header else b"") + b"\n" + written.getvalue().lstrip(b"\n")


def faults(stored: Catalog, wanted: Catalog) -> Iterator[str]:
    """Name each message that is not translated as it should be, and why."""
    for message in wanted:
        if message.id:
            yield from _faults_of(message, stored.get(message.id, message.context), stored.num_plurals)
    for message in (*stored, *stored.obsolete.values()):
        if message.id and wanted.get(message.id, message.context) is None:
            yield f"{_name(message)}: nothing says this any more"


def _faults_of(wanted: Message, stored: Message | None, plurals: int) -> Iterator[str]:
    forms = _forms(stored.string) if stored else ()
    if stored is None or not any(forms):
        yield f"{_name(wanted)}: has no translation"
        return
    if stored.fuzzy:
        yield f"{_name(wanted)}: is marked fuzzy"
    if isinstance(wanted.id, tuple) and (len(forms) != plurals or not all(forms)):
        yield f"{_name(wanted)}: needs {plurals} forms"
    needed = _placeholders(wanted.context, _forms(wanted.id)[-1])
    for form in filter(None, forms):
        if _placeholders(wanted.context, form) != needed:
            yield f"{_name(wanted)}: has other placeholders in {form!r}"


def _placeholders(context: str | None, text: str) -> frozenset[str]:
    return frozenset(placeholders(text) if context == CONTEXT else re.findall(r"%\((\w+)\)s", text))


def _forms(text: object) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text) if isinstance(text, tuple | list) else ()


def _name(message: Message) -> str:
    name = repr(_forms(message.id)[0])
    return f"{name} ({message.context})" if message.context else name


def main() -> int:
    """Update the catalogues, or check them; 0 when all is translated, 1 with a line for each message that is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check, wanted, code = parser.parse_args().check, extracted(), 0
    for language, path in CATALOGUES.items():
        if not check:
            path.write_bytes(updated(path.read_bytes(), language, wanted))
        for fault in faults(read(language), wanted):
            print(f"{path.relative_to(ROOT)}: {fault}", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
