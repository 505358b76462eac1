"""Suppressions: phones whose owners opted out."""

import zlib
from dataclasses import dataclass
from datetime import datetime

PARTS = 32


@dataclass(frozen=True, slots=True)
class Suppression:
    """A phone to which nothing is sent, whoever has it."""

    phone: str
    created_at: datetime


def part_of(phone: str) -> str:
    """Name the partition of a phone's suppression: spread, so that a file of millions heats none."""
    return f"{zlib.crc32(phone.encode()) % PARTS:02d}"
