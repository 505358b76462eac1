"""The catalogues hold all that the pages say, translated; what is wrong with one is named."""

import ast
from collections.abc import Callable

import pytest
from babel.messages.catalog import Catalog

import translations
from sentences_in_code import sentences_in


@pytest.fixture(scope="module")
def wanted() -> Catalog:
    return translations.extracted()


@pytest.mark.parametrize("language", translations.CATALOGUES)
def test_a_catalogue_is_complete_and_up_to_date(wanted: Catalog, language: str) -> None:
    assert list(translations.faults(translations.read(language), wanted)) == []


@pytest.mark.parametrize("language", translations.CATALOGUES)
def test_updating_a_catalogue_that_is_up_to_date_changes_nothing(wanted: Catalog, language: str) -> None:
    stored = translations.CATALOGUES[language].read_bytes()
    assert translations.updated(stored, language, wanted) == stored


SAVED, SENT_SO_FAR, NO_ROLE = "Saved.", "%(rate)s a second.", "this needs the role {role}"
CLIENTS = ("%(shown)s client", "%(shown)s clients")


def _set(
    id_: str | tuple[str, ...], string: str | tuple[str, ...], context: str | None = None
) -> Callable[[Catalog], None]:
    def change(catalogue: Catalog) -> None:
        catalogue.get(id_, context).string = string  # type: ignore[union-attr]

    return change


def _mark(catalogue: Catalog) -> None:
    catalogue.get(SAVED).flags.add("fuzzy")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda catalogue: catalogue.delete(SAVED), "'Saved.': has no translation"),
        (lambda catalogue: catalogue.delete(NO_ROLE, "sentence"), f"{NO_ROLE!r} (sentence): has no translation"),
        (lambda catalogue: catalogue.add("Gone.", "Нет."), "'Gone.': nothing says this any more"),
        (_set(SAVED, ""), "'Saved.': has no translation"),
        (_mark, "'Saved.': is marked fuzzy"),
        (_set(SENT_SO_FAR, "в секунду"), f"{SENT_SO_FAR!r}: has other placeholders in 'в секунду'"),
        (_set(SENT_SO_FAR, "%(rates)s"), f"{SENT_SO_FAR!r}: has other placeholders in '%(rates)s'"),
        (_set(NO_ROLE, "{rolle}", "sentence"), f"{NO_ROLE!r} (sentence): has other placeholders in '{{rolle}}'"),
        (_set(CLIENTS, ("%(shown)s", "%(shown)s")), "'%(shown)s client': needs 3 forms"),
        (_set(CLIENTS, ("%(shown)s", "", "%(shown)s")), "'%(shown)s client': needs 3 forms"),
        (
            _set(CLIENTS, ("%(shown)s", "клиенты", "%(shown)s")),
            "'%(shown)s client': has other placeholders in 'клиенты'",
        ),
    ],
)
def test_each_fault_is_named_with_its_message(wanted: Catalog, spoil: Callable[[Catalog], None], said: str) -> None:
    catalogue = translations.read("ru")
    spoil(catalogue)
    assert list(translations.faults(catalogue, wanted)) == [said]


def test_an_update_keeps_translations_and_puts_what_is_gone_apart(wanted: Catalog) -> None:
    stored = translations.CATALOGUES["ru"].read_bytes().replace(b'msgid "Saved."', b'msgid "Was saved."')
    updated = translations.updated(stored, "ru", wanted).decode()
    assert 'msgid "Saved."\nmsgstr ""' in updated
    assert '#~ msgid "Was saved."\n#~ msgstr "Сохранено."' in updated
    assert 'msgid "Deleted."\nmsgstr "Удалено."' in updated


@pytest.mark.parametrize(
    ("code", "sentences"),
    [
        ('raise ConflictError("it is so")', ["it is so"]),
        ('raise FieldError("start_at", f"is before {self.start}")', ["is before {start}"]),
        (
            'raise ValueError(f"{len(cells)} cells of {Role.ADMIN}, {_utc(at)}: {x or y!r}")',
            ["{cells} cells of {role}, {utc}: {x}"],
        ),
        ('WHY = "too late"\nraise HttpError(409, WHY)', ["too late"]),
        ('why = "at least"\nraise HttpError(409, f"the {why} one")', ["the {why} one", "at least"]),
        ('raise HttpError(409, "one way" if so else "or another")', ["one way", "or another"]),
        ('raise HttpError(409, f"{name} is {name}, a {{brace}}")', ["{name} is {name_2}, a {{brace}}"]),
        ('raise HttpError(409, "{0} is literal")', ["{{0}} is literal"]),
        ("raise HttpError(409, f\"{', '.join(names)} and {1 + 1}\")", ["{names} and {value}"]),
        ('logger.info("nobody reads this")\nraise TypeError("nor that")', []),
        ('sentence("what a page says")', ["what a page says"]),
    ],
)
def test_sentences_are_found_in_code(code: str, sentences: list[str]) -> None:
    assert list(sentences_in(ast.parse(code))) == sentences


def test_what_functions_return_is_found_where_all_of_them_say_something() -> None:
    module = ast.parse('def why():\n    return f"{whose} mailing was cancelled"')
    assert list(sentences_in(module)) == []
    assert list(sentences_in(module, all_returned=True)) == ["{whose} mailing was cancelled"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('raise HttpError(409, "a sentence" + end)', "added up"),
        ('raise HttpError(409, f"took {request}{error} then")', "side by side"),
    ],
)
def test_sentences_that_nobody_could_translate_are_refused(code: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(sentences_in(ast.parse(code)))
