import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.sms_parts import SmsEncoding, SmsParts, sms_parts

GSM, UCS2 = SmsEncoding.GSM, SmsEncoding.UCS2
# 3GPP TS 23.038, 6.2.1: row by row, as the tables have them; 0x1B is the escape.
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"
EMOJI = "🙂"

CASES = [
    ("empty", "", GSM, 1),
    ("one letter", "a", GSM, 1),
    ("all of one part", "a" * 160, GSM, 1),
    ("one more", "a" * 161, GSM, 2),
    ("all of two parts", "a" * 306, GSM, 2),
    ("one more than two parts", "a" * 307, GSM, 3),
    ("extended", "€" * 80, GSM, 1),
    ("extended, one more", "€" * 81, GSM, 2),
    ("one septet stays free at the end of a part", "€" * 152, GSM, 2),
    ("which would have had room in theory", "€" * 153, GSM, 3),
    ("an escape that would end a part begins the next", "a" * 152 + "€" + "a" * 151, GSM, 2),
    ("and may need one more for it", "a" * 152 + "€" + "a" * 152, GSM, 3),
    ("line ends", "a\r\nb\n", GSM, 1),
    ("tab is in no table", "a\tb", UCS2, 1),
    ("lower cedilla is in no table", "ç", UCS2, 1),
    ("cyrillic", "Я" * 70, UCS2, 1),
    ("cyrillic, one more", "Я" * 71, UCS2, 2),
    ("cyrillic, all of two parts", "Я" * 134, UCS2, 2),
    ("cyrillic, one more than two parts", "Я" * 135, UCS2, 3),
    ("one letter decides on all", "a" * 70 + "я", UCS2, 2),
    ("pairs", EMOJI * 35, UCS2, 1),
    ("pairs, one more", EMOJI * 36, UCS2, 2),
    ("one unit stays free where a pair does not fit", EMOJI * 66, UCS2, 2),
    ("which would have had room in theory", EMOJI * 67, UCS2, 3),
    ("a pair that would be parted begins the next part", "я" * 66 + EMOJI + "я" * 65, UCS2, 2),
    ("and may need one more for it", "я" * 66 + EMOJI + "я" * 66, UCS2, 3),
    ("joined of several", "👨‍👩‍👧" * 10, UCS2, 2),
]


@pytest.mark.parametrize(("text", "encoding", "parts"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_parts_of_a_text(text: str, encoding: SmsEncoding, parts: int) -> None:
    assert sms_parts(text) == SmsParts(encoding, parts)


def test_the_tables_are_those_of_the_standard() -> None:
    assert len(BASIC) == len(set(BASIC)) == 127
    gsm = {chr(code) for code in range(0x10000) if sms_parts(chr(code)).encoding is GSM}
    assert gsm == set(BASIC) | set(EXTENSION)


@pytest.mark.parametrize("character", BASIC)
def test_characters_of_the_basic_table_count_once(character: str) -> None:
    assert [sms_parts(character * number).parts for number in (160, 161)] == [1, 2]


@pytest.mark.parametrize("character", EXTENSION)
def test_characters_of_the_extension_table_count_twice(character: str) -> None:
    assert [sms_parts(character * number).parts for number in (80, 81)] == [1, 2]


@given(st.text("a€", max_size=400) | st.text("aя" + EMOJI, max_size=200))
def test_parts_are_as_few_as_may_be_and_part_nothing(text: str) -> None:
    """By trying each cut: from the front, a part takes all that fits, and nothing shorter is better."""
    told = sms_parts(text)

    def size(piece: str) -> int:
        return len(piece) + piece.count("€") if told.encoding is GSM else len(piece.encode("utf-16-le")) // 2

    alone, joined = (160, 153) if told.encoding is GSM else (70, 67)
    if size(text) <= alone:
        assert told.parts == 1
        return
    parts = [0] + [len(text)] * len(text)  # fewest parts of each beginning of the text
    for stop in range(1, len(text) + 1):
        parts[stop] = 1 + min(
            parts[start] for start in range(max(0, stop - joined), stop) if size(text[start:stop]) <= joined
        )
    assert told.parts == parts[len(text)]
