"""Who a mailing is for, and how the audience is cut into parts that can be read in parallel.

Every client is a member of up to three *parts*: one of all clients, one of its operator code, one of its tag.
Each of these is spread over `SHARDS` partitions, so that a tag with ten million clients is no hot partition:
at 5,000 clients written a second a partition takes about 160 writes of the 1,000 that DynamoDB allows it.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from chalicelib.domain.client import Client

SHARDS = 32


@dataclass(frozen=True, slots=True)
class AudienceFilter:
    """Within a list OR, between the lists AND; an empty list means all."""

    operator_codes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def matches(self, member: "Member | Client") -> bool:
        """Tell whether a client is meant."""
        return (not self.operator_codes or member.operator_code in self.operator_codes) and (
            not self.tags or member.tag in self.tags
        )

    def plans(self, member: "Member") -> bool:
        """Tell whether a client is to get a message: meant, and not suppressed."""
        return not member.suppressed and self.matches(member)


@dataclass(frozen=True, slots=True)
class Member:
    """A client as a member of a part: what planning and its preview need to know of it.

    `timezone` is None of members that were stored before it was.
    """

    client_id: str
    operator_code: str
    tag: str | None
    suppressed: bool = False
    timezone: str | None = None

    @classmethod
    def of(cls, client: Client) -> Self:
        """Make the member that a client is."""
        return cls(client.id, client.operator_code, client.tag, client.suppressed, client.timezone)


def parts_of(client: Client) -> tuple[str, ...]:
    """Name the parts that a client is a member of."""
    shard = zlib.crc32(client.id.encode()) % SHARDS
    parts = [_part("all", "", shard), _part("code", client.operator_code, shard)]
    if client.tag is not None:
        parts.append(_part("tag", client.tag, shard))
    return tuple(parts)


def parts_to_read(audience: AudienceFilter) -> tuple[str, ...]:
    """Name the parts whose members hold everyone that the filter means, each client once.

    A client has one operator code and at most one tag, so parts of one kind never overlap. Of two lists the
    shorter is read; `AudienceFilter.matches` then applies the other.
    """
    return tuple(_part(kind, value, shard) for kind, value in _values(audience) for shard in range(SHARDS))


def shards_to_read(audience: AudienceFilter) -> tuple[tuple[str, ...], ...]:
    """Name the same parts by shard: each shard holds its share of everyone that the filter means, drawn by lot."""
    parts = parts_to_read(audience)
    return tuple(parts[shard::SHARDS] for shard in range(SHARDS))


def _values(audience: AudienceFilter) -> Iterator[tuple[str, str]]:
    codes, tags = sorted(set(audience.operator_codes)), sorted(set(audience.tags))
    if not codes and not tags:
        yield "all", ""
    elif codes and (not tags or len(codes) <= len(tags)):
        yield from (("code", code) for code in codes)
    else:
        yield from (("tag", tag) for tag in tags)


def _part(kind: str, value: str, shard: int) -> str:
    return f"{kind}#{value}#{shard:02d}"
