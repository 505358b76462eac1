"""What the port `MessageLists` promises, of the adapter and of its fake."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from chalicelib.ports import MessageLists, Page
from tests.builders import mailing, message, ulid
from tests.fakes.message_lists import FakeMessageLists

if TYPE_CHECKING:
    from chalicelib.bootstrap import Application

MAILING, OTHER = mailing(message_shards=3), mailing(id=ulid(101), message_shards=64)
ROWS = [message(client_id=ulid(n), mailing_shard=f"{MAILING.id}#{n % 2:02d}") for n in range(9)]
OTHER_ROW = message(mailing_id=OTHER.id, client_id=ulid(0), mailing_shard=f"{OTHER.id}#63")


@pytest.fixture(params=["dynamodb", "fake"])
def lists(request: pytest.FixtureRequest) -> MessageLists:
    if request.param == "fake":
        return FakeMessageLists(*ROWS, OTHER_ROW)
    built: Application = request.getfixturevalue("built")
    built.messages.plan(MAILING, ROWS)
    built.messages.plan(OTHER, [OTHER_ROW])
    return built.message_lists


def everything(read: Callable[[str | None, int], Page[int]], limit: int) -> list[int]:
    """Read a list page by page."""
    listed: list[int] = []
    after = None
    while True:
        page = read(after, limit)
        assert len(page.items) <= limit
        listed += page.items
        if page.next is None:
            return listed
        after = page.next


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 9, 10, 500])
def test_each_message_is_listed_once(lists: MessageLists, limit: int) -> None:
    listed = everything(lambda after, count: lists.of_mailing(MAILING, after, count), limit)
    assert sorted(listed) == sorted(row.id for row in ROWS)
    assert everything(lambda after, count: lists.of_mailing(OTHER, after, count), limit) == [OTHER_ROW.id]


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 500])
def test_the_messages_of_a_part_are_those_of_one_partition(lists: MessageLists, limit: int) -> None:
    for shard, part in enumerate(MAILING.message_parts):
        listed = everything(lambda after, count, part=part: lists.of_part(part, after, count), limit)  # type: ignore[misc]
        assert sorted(listed) == sorted(row.id for n, row in enumerate(ROWS) if n % 2 == shard)
    assert everything(lambda after, count: lists.of_part(OTHER.message_parts[63], after, count), limit) == [
        OTHER_ROW.id
    ]


@pytest.mark.parametrize("limit", [1, 2, 500])
def test_the_messages_of_a_client_are_those_of_all_its_mailings(lists: MessageLists, limit: int) -> None:
    listed = everything(lambda after, count: lists.of_client(ulid(0), after, count), limit)
    assert sorted(listed) == sorted([ROWS[0].id, OTHER_ROW.id])
    assert everything(lambda after, count: lists.of_client(ulid(404), after, count), limit) == []
