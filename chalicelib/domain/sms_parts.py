"""How many parts an SMS has, which is what is paid for.

A text of characters of the GSM 7-bit default alphabet and its extension table goes in septets, any other in UCS-2.
What does not fit into one part goes in parts that each spend six octets on a header by which the phone joins them.

Source: 3GPP TS 23.038 V18.0.0, sections 6.2.1 (alphabets) and TS 23.040, 9.2.3.24.1 (concatenation).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")  # each behind an escape: two septets


class SmsEncoding(StrEnum):
    """How a text goes over the air."""

    GSM = "GSM 03.38"
    UCS2 = "UCS-2"


@dataclass(frozen=True, slots=True)
class SmsParts:
    """In how many parts a text goes."""

    encoding: SmsEncoding
    parts: int


def sms_parts(text: str) -> SmsParts:
    """Count the parts of a text; one of no characters has one.

    An escape is never parted from its character, nor a surrogate from its pair: phones join parts, but not those.
    """
    if (_BASIC | _EXTENSION).issuperset(text):
        septets = [2 if character in _EXTENSION else 1 for character in text]
        return SmsParts(SmsEncoding.GSM, _packed(septets, alone=160, joined=153))
    units = [2 if ord(character) > 0xFFFF else 1 for character in text]  # noqa: PLR2004 - beyond it UTF-16 needs a pair
    return SmsParts(SmsEncoding.UCS2, _packed(units, alone=70, joined=67))


def _packed(sizes: Iterable[int], *, alone: int, joined: int) -> int:
    sizes = list(sizes)
    if sum(sizes) <= alone:
        return 1
    parts, room = 1, joined
    for size in sizes:
        if size > room:
            parts, room = parts + 1, joined
        room -= size
    return parts
