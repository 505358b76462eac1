"""Phone numbers: `7`, three digits of the operator, seven of the subscriber (`79161234567`)."""

import re
from typing import Final

# With its anchors it means the same in JSON Schema, where a pattern may otherwise match anywhere.
PHONE_PATTERN: Final = "^7[0-9]{10}$"
_PHONE: Final = re.compile(PHONE_PATTERN)

_BETWEEN_DIGITS: Final = re.compile(r"[\s()+-]")
_DIGITS: Final = 11
_VISIBLE_DIGITS: Final = 4


def is_phone(text: str) -> bool:
    """Tell whether `text` is a phone number: `7` and ten ASCII digits, and nothing else."""
    # `$` alone would let a trailing newline pass.
    return _PHONE.fullmatch(text) is not None


def operator_code_of(phone: str) -> str:
    """Return the three digits after the leading 7 of a phone number: `916` of `79161234567`."""
    return phone[1:4]


def typed_phone(text: str) -> str:
    """Read a phone as people write it, `8 (916) 123-45-67` as `79161234567`; it may still be none."""
    digits = _BETWEEN_DIGITS.sub("", text)
    return f"7{digits[1:]}" if len(digits) == _DIGITS and digits.startswith("8") else digits


def mask(phone: str) -> str:
    """Hide all but the last four digits, for logs: `*******4567`."""
    return phone[-_VISIBLE_DIGITS:].rjust(len(phone), "*")
