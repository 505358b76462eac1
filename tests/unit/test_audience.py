from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.audience import SHARDS, AudienceFilter, Member, parts_of, parts_to_read, shards_to_read
from chalicelib.domain.client import Client
from tests.builders import client, ulid

CODES = ["900", "916", "925"]
TAGS = ["", "a", "vip", "#", "all"]

clients = st.lists(
    st.builds(
        client,
        id=st.integers(0, 10**6).map(ulid),
        operator_code=st.sampled_from(CODES),
        tag=st.none() | st.sampled_from(TAGS),
    ),
    unique_by=lambda one: one.id,
    max_size=30,
)
filters = st.builds(
    AudienceFilter,
    operator_codes=st.lists(st.sampled_from([*CODES, "999"]), max_size=5).map(tuple),
    tags=st.lists(st.sampled_from([*TAGS, "nobody's"]), max_size=5).map(tuple),
)


def read(audience: AudienceFilter, some: list[Client]) -> Counter[str]:
    """Count how often each client is found by reading the parts."""
    return Counter(
        one.id for part in parts_to_read(audience) for one in some if part in parts_of(one) and audience.matches(one)
    )


@given(filters, clients)
def test_reading_the_parts_finds_each_client_that_is_meant_exactly_once(
    audience: AudienceFilter, some: list[Client]
) -> None:
    def meant(one: Client) -> bool:
        return (one.operator_code in audience.operator_codes or not audience.operator_codes) and (
            one.tag in audience.tags or not audience.tags
        )

    assert read(audience, some) == {one.id: 1 for one in some if meant(one)}


@given(clients, filters)
def test_a_member_matches_as_its_client_does(some: list[Client], audience: AudienceFilter) -> None:
    for one in some:
        assert audience.matches(Member.of(one)) == audience.matches(one)


@given(clients, filters, st.booleans())
def test_who_is_meant_gets_a_message_unless_suppressed(
    some: list[Client],
    audience: AudienceFilter,
    suppressed: bool,  # noqa: FBT001 - drawn
) -> None:
    for one in some:
        member = Member.of(replace(one, suppressed=suppressed))
        assert audience.plans(member) == (audience.matches(one) and not suppressed)


@given(filters)
def test_shards_are_the_same_parts_and_each_has_its_share_of_every_value(audience: AudienceFilter) -> None:
    shards = shards_to_read(audience)
    assert sorted(part for shard in shards for part in shard) == sorted(parts_to_read(audience))
    assert [{part.rpartition("#")[2] for part in shard} for shard in shards] == [{f"{n:02d}"} for n in range(SHARDS)]


def test_of_two_lists_the_shorter_is_read() -> None:
    assert len(parts_to_read(AudienceFilter(("900", "916"), ("vip",)))) == SHARDS
    assert len(parts_to_read(AudienceFilter(("916",), ("vip", "a")))) == SHARDS
    assert all(part.startswith("tag#vip#") for part in parts_to_read(AudienceFilter(("900", "916"), ("vip",))))
    assert all(part.startswith("code#916#") for part in parts_to_read(AudienceFilter(("916",), ("vip",))))


def test_no_part_is_read_twice_for_a_value_named_twice() -> None:
    audience = AudienceFilter(("916", "916"), ())
    assert len(set(parts_to_read(audience))) == len(parts_to_read(audience)) == SHARDS


def test_clients_are_spread_over_all_shards_of_a_part() -> None:
    used = {parts_of(client(id=ulid(number)))[0] for number in range(1000)}
    assert used == set(parts_to_read(AudienceFilter()))


def test_a_client_without_a_tag_is_in_no_part_of_one() -> None:
    assert len(parts_of(client(tag=None))) == 2
    assert len(parts_of(client(tag=""))) == 3
