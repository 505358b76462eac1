from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.message import MAX_TICKET_DELAY, Message
from chalicelib.domain.tickets import IDS_PER_TICKET, MessagesTicket, SegmentTicket, Ticket, deal_out, delays, read
from chalicelib.errors import PermanentError
from tests.builders import message

# --- Reading


def test_a_ticket_is_read_as_it_was_written() -> None:
    messages = MessagesTicket(v=1, mailing_id="m", message_ids=[1, 2**53 - 1])
    assert read(MessagesTicket, messages.model_dump_json()) == messages
    segment = SegmentTicket(v=1, mailing_id="m", segment="plan#00")
    assert read(SegmentTicket, segment.model_dump_json()) == segment


def test_a_ticket_tells_its_version() -> None:
    assert '"v":1' in MessagesTicket(v=1, mailing_id="m", message_ids=[1]).model_dump_json()


IDS = ",".join(["1"] * 25)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("", "ticket"),
        ("no json", "ticket"),
        ('{"v":1', "ticket"),
        ("[]", "ticket"),
        ("null", "ticket"),
        ('"m"', "ticket"),
        ('{"v":2,"mailing_id":"m","message_ids":[1]}', "v"),
        ('{"v":"1","mailing_id":"m","message_ids":[1]}', "v"),
        ('{"v":null,"mailing_id":"m","message_ids":[1]}', "v"),
        ('{"v":1,"message_ids":[1]}', "mailing_id"),
        ('{"v":1,"mailing_id":"","message_ids":[1]}', "mailing_id"),
        ('{"v":1,"mailing_id":7,"message_ids":[1]}', "mailing_id"),
        (f'{{"v":1,"mailing_id":"{"m" * 65}","message_ids":[1]}}', "mailing_id"),
        ('{"v":1,"mailing_id":"m"}', "message_ids"),
        ('{"v":1,"mailing_id":"m","message_ids":[]}', "message_ids"),
        ('{"v":1,"mailing_id":"m","message_ids":7}', "message_ids"),
        ('{"v":1,"mailing_id":"m","message_ids":{"0":1}}', "message_ids"),
        (f'{{"v":1,"mailing_id":"m","message_ids":[{IDS}]}}', "message_ids"),
        ('{"v":1,"mailing_id":"m","message_ids":[1,0]}', "message_ids.1"),
        ('{"v":1,"mailing_id":"m","message_ids":[-1]}', "message_ids.0"),
        ('{"v":1,"mailing_id":"m","message_ids":[9007199254740992]}', "message_ids.0"),
        ('{"v":1,"mailing_id":"m","message_ids":["1"]}', "message_ids.0"),
        ('{"v":1,"mailing_id":"m","message_ids":[1.5]}', "message_ids.0"),
        ('{"v":1,"mailing_id":"m","message_ids":[true]}', "message_ids.0"),
        ('{"v":1,"mailing_id":"m","message_ids":[null]}', "message_ids.0"),
        ('{"v":1,"mailing_id":"m","message_ids":[1],"phone":"7"}', "phone"),
    ],
)
def test_a_ticket_that_cannot_be_read_says_why(body: str, field: str) -> None:
    with pytest.raises(PermanentError, match=r"^unreadable ticket: ") as raised:
        read(MessagesTicket, body)
    assert f" {field}: " in str(raised.value)


@pytest.mark.parametrize("name", ["79161234567", "Come at nine!", "\\u0000", "x" * 33])
def test_of_an_unreadable_ticket_nothing_is_repeated_but_names_that_look_like_names(name: str) -> None:
    with pytest.raises(PermanentError) as raised:
        read(SegmentTicket, f'{{"v":1,"mailing_id":"m","segment":"plan#00","{name}":"secret"}}')
    assert str(raised.value) == "unreadable ticket: (unknown field): Extra inputs are not permitted"


def test_of_very_much_that_is_wrong_with_a_ticket_the_first_is_named() -> None:
    with pytest.raises(PermanentError) as raised:
        read(MessagesTicket, f'{{"v":1,"mailing_id":"m","message_ids":[{",".join(["0"] * 20)}]}}')
    assert str(raised.value).count("message_ids") == 5
    assert str(raised.value).endswith("; and 15 more")


def test_all_that_is_wrong_with_a_ticket_is_named() -> None:
    with pytest.raises(PermanentError) as raised:
        read(SegmentTicket, '{"v":3,"mailing_id":""}')
    assert all(f" {field}: " in str(raised.value) for field in ("v", "mailing_id", "segment"))


@pytest.mark.parametrize("shape", [MessagesTicket, SegmentTicket])
def test_a_ticket_of_the_other_kind_is_not_read(shape: type[Ticket]) -> None:
    other = {
        MessagesTicket: SegmentTicket(v=1, mailing_id="m", segment="plan#00"),
        SegmentTicket: MessagesTicket(v=1, mailing_id="m", message_ids=[1]),
    }[shape]
    with pytest.raises(PermanentError):
        read(shape, other.model_dump_json())


@given(st.text() | st.recursive(st.none() | st.integers(), st.lists, max_leaves=5).map(str))
def test_whatever_lies_in_a_queue_is_read_or_refused(body: str) -> None:
    with pytest.raises(PermanentError):
        read(MessagesTicket, body)


# --- Dealing out


@given(st.lists(st.integers(1, 1000), unique=True, max_size=100))
def test_ids_are_dealt_out_in_their_order_in_as_few_tickets_as_hold_them(ids: list[int]) -> None:
    dealt = deal_out(ids)
    assert [id_ for ticket in dealt for id_ in ticket] == ids
    assert all(1 <= len(ticket) <= IDS_PER_TICKET for ticket in dealt)
    assert len(dealt) == -(-len(ids) // IDS_PER_TICKET)


# --- Delays

SECOND = timedelta(seconds=1)
waits = st.one_of(
    st.timedeltas(timedelta(), MAX_TICKET_DELAY + timedelta(minutes=1)),
    st.timedeltas(timedelta(), timedelta(seconds=3)),
    st.just(timedelta()),
    st.just(MAX_TICKET_DELAY),
)


def waiting(some: list[timedelta]) -> list[tuple[Message, timedelta]]:
    return [(message(id=number, client_id=str(number)), wait) for number, wait in enumerate(some, 1)]


@given(st.lists(waits, max_size=120))
def test_each_message_that_a_queue_can_hold_is_in_one_ticket_and_never_comes_early(some: list[timedelta]) -> None:
    wanted = {row.id: wait for row, wait in waiting(some) if wait <= MAX_TICKET_DELAY}
    tickets = delays(waiting(some))
    assert Counter(id_ for ids, _ in tickets for id_ in ids) == Counter(wanted.keys())
    for ids, delay in tickets:
        assert 1 <= len(ids) <= IDS_PER_TICKET
        assert delay == max(wanted[id_] for id_ in ids)
        assert timedelta() <= delay <= MAX_TICKET_DELAY


@given(st.lists(waits, max_size=120))
def test_nobody_waits_much_longer_than_drawn(some: list[timedelta]) -> None:
    wanted = {row.id: wait for row, wait in waiting(some)}
    for ids, delay in delays(waiting(some)):
        for id_ in ids:
            assert delay - wanted[id_] <= max(SECOND, wanted[id_] / 10)


def test_waits_that_are_near_each_other_share_a_ticket() -> None:
    near = [timedelta(seconds=60), timedelta(seconds=66), timedelta(seconds=67), timedelta(seconds=0.5), SECOND]
    assert delays(waiting(near)) == [([4, 5], SECOND), ([1, 2], 66 * SECOND), ([3], 67 * SECOND)]


def test_a_full_ticket_is_followed_by_another() -> None:
    assert [len(ids) for ids, _ in delays(waiting([SECOND] * 50))] == [24, 24, 2]


def test_a_wait_that_no_queue_holds_has_no_ticket() -> None:
    longest, longer = MAX_TICKET_DELAY, MAX_TICKET_DELAY + timedelta(microseconds=1)
    assert delays(waiting([longer, longest])) == [([2], longest)]
