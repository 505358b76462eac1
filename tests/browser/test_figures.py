from tests.browser.figures import table


def test_each_page_has_a_row_of_what_was_recorded_of_it() -> None:
    recorded = [
        [("page", "clients"), ("kb", 20.04), ("requests", 3)],
        [("page", "clients"), ("axe", 0)],
        [("page", "clients"), ("axe", 2)],
        [],
        [("page", "audit"), ("kb", 9), ("requests", 1)],
    ]

    assert [line.split() for line in table(recorded)] == [
        ["KB", "requests", "axe", "violations", "page"],
        ["20.0", "3", "2", "clients"],
        ["9.0", "1", "0", "audit"],
    ]


def test_without_pages_there_is_no_table() -> None:
    assert table([[("other", 1)]]) == []
