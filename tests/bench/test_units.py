from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.bench import units
from tests.bench.item_size import item_size, number_size, value_size
from tests.bench.recorded_calls import RecordedCall
from tests.bench.table_shapes import table_shapes
from tests.bench.units import UnitMeter, Units, write_units
from tests.bench.writes import writes_of

MESSAGES = table_shapes()["messages"]
ENDED = {
    "id": {"N": "7"},
    "mailing_id": {"S": "m"},
    "client_id": {"S": "c"},
    "mailing_shard": {"S": "m#00"},
    "status": {"S": "sent"},
    "version": {"S": "v2"},
    "leases": {"N": "0"},
}
OPEN = ENDED | {
    "status": {"S": "queued"},
    "version": {"S": "v1"},
    "due_shard": {"S": "queued#07"},
    "due_at": {"N": "1000"},
    "lease_until": {"N": "0"},
}
LEASE = (
    'UPDATE "vestnik-messages" SET lease_until=? SET version=? SET leases=? WHERE id=? AND version=?',
    [{"N": "5000"}, {"S": "mine"}, {"N": "1"}, {"N": "7"}, {"S": "v1"}],
)
CLAIM = (
    "INSERT INTO \"vestnik-control\" VALUE {'name':?,'owner':?,'claimed_until':?,'expires_at':?}",
    [{"S": "claim#v1"}, {"S": "me"}, {"N": "5000"}, {"N": "9"}],
)
MOVE = (
    'UPDATE "vestnik-messages" SET due_at=? SET version=? WHERE id=? AND due_at=? AND lease_until < ?',
    [{"N": "9000"}, {"S": "moved"}, {"N": "7"}, {"N": "1000"}, {"N": "2000"}],
)


def call(operation: str, request: Mapping[str, Any], answer: Mapping[str, Any] | None = None) -> RecordedCall:
    answer = answer or {}
    status = 400 if "__type" in answer else 200
    return RecordedCall("sender", "dynamodb", operation, status=status, request=request, answer=answer)


def transaction(*writes: Mapping[str, Any], answer: Mapping[str, Any] | None = None) -> RecordedCall:
    return call("TransactWriteItems", {"TransactItems": list(writes)}, answer)


def put(item: Mapping[str, Any], table: str = "messages", **more: object) -> dict[str, Any]:
    return {"Put": {"TableName": f"vestnik-{table}", "Item": item, **more}}


def planned(item: Mapping[str, Any] = OPEN) -> dict[str, Any]:
    return put(item, ConditionExpression="attribute_not_exists(id)")


def executed(*statements: tuple[str, list[dict[str, str]]], answers: Sequence[Mapping[str, Any]]) -> RecordedCall:
    said = [{"Statement": statement, "Parameters": parameters} for statement, parameters in statements]
    return call("BatchExecuteStatement", {"Statements": said}, {"Responses": answers})


def test_a_message_takes_nine_units_from_plan_to_outcome() -> None:
    meter = UnitMeter()
    assert meter.measure(transaction(planned())).writes == {"messages": 2 + 3}
    assert meter.measure(executed(LEASE, answers=[{}])).writes == {"messages": 1}
    outcome = put(ENDED, ConditionExpression="version = :read", ExpressionAttributeValues={":read": {"S": "mine"}})
    assert meter.measure(transaction(outcome)) == Units(writes={"messages": 2 + 1}, assumed=0)


def test_a_claim_takes_a_unit_whether_it_is_the_first_or_not() -> None:
    meter = UnitMeter()
    late = {"Error": {"Code": "DuplicateItem"}}
    assert meter.measure(executed(CLAIM, CLAIM, answers=[{}, late])) == Units(writes={"control": 2}, assumed=0)


def test_a_put_off_moves_the_due_entry() -> None:
    meter = UnitMeter()
    meter.measure(transaction(planned()))
    deferred = OPEN | {"due_shard": {"S": "deferred#07"}, "due_at": {"N": "8000"}}
    assert meter.measure(transaction(put(deferred))).writes == {"messages": 2 + 2}


def test_moving_due_at_by_statement_writes_the_index_twice() -> None:
    meter = UnitMeter()
    meter.measure(transaction(planned()))
    assert meter.measure(executed(MOVE, answers=[{}])).writes == {"messages": 1 + 2}


def test_an_entry_whose_key_stays_is_written_once() -> None:
    changed = OPEN | {"mailing_id": {"S": "other"}}  # projected into by_due, key of none
    assert write_units(MESSAGES, OPEN, changed) == 1 + 1


def test_a_deleted_row_leaves_every_index() -> None:
    meter = UnitMeter()
    meter.measure(transaction(planned()))
    deletion = call("DeleteItem", {"TableName": "vestnik-messages", "Key": {"id": {"N": "7"}}})
    assert meter.measure(deletion).writes == {"messages": 1 + 3}


def test_an_index_without_projection_list_takes_the_whole_item() -> None:
    mailing = {"id": {"S": "m"}, "kind": {"S": "mailing"}, "status": {"S": "running"}, "start_at": {"N": "1"}}
    longer = mailing | {"text": {"S": "x" * 1500}}
    assert write_units(table_shapes()["mailings"], mailing, longer) == 2 + 2 + 2


def test_a_failed_condition_of_a_statement_is_paid_for_and_a_throttled_one_is_not() -> None:
    meter = UnitMeter()
    failed, throttled = {"Error": {"Code": "ConditionalCheckFailed"}}, {"Error": {"Code": "ThrottlingError"}}
    units = meter.measure(executed(LEASE, LEASE, LEASE, answers=[{}, failed, throttled]))
    assert units.writes == {"messages": 2}


def test_a_cancelled_transaction_is_paid_for_without_indexes() -> None:
    meter = UnitMeter()
    answer = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "CancellationReasons": [{"Code": "ConditionalCheckFailed", "Item": OPEN}, {"Code": "None"}],
    }
    other = OPEN | {"id": {"N": "8"}}
    assert meter.measure(transaction(planned(), planned(other), answer=answer)).writes == {"messages": 4}
    # It has told what the row is: its outcome is known to remove one entry.
    assert meter.measure(transaction(put(ENDED))) == Units(writes={"messages": 3}, assumed=0)


def test_what_was_refused_or_throttled_takes_nothing() -> None:
    answer = {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}
    assert UnitMeter().measure(transaction(planned(), answer=answer)) == Units()


def test_an_unknown_item_counts_as_dear_as_it_can_be() -> None:
    assert UnitMeter().measure(transaction(put(ENDED))) == Units(writes={"messages": 2 + 2 + 2 + 1}, assumed=1)
    assert UnitMeter().measure(executed(LEASE, answers=[{}])) == Units(writes={"messages": 1}, assumed=0)
    assert UnitMeter().measure(executed(MOVE, answers=[{}])) == Units(writes={"messages": 3}, assumed=1)
    deletion = {"Delete": {"TableName": "vestnik-messages", "Key": {"id": {"N": "7"}}}}
    assert UnitMeter().measure(transaction(deletion)) == Units(writes={"messages": 2 + 3}, assumed=1)
    rewritten = {
        "TableName": "vestnik-messages",
        "Key": {"id": {"N": "7"}},
        "UpdateExpression": "SET mailing_id = :m",
        "ExpressionAttributeValues": {":m": {"S": "m"}},
    }
    assert UnitMeter().measure(call("UpdateItem", rewritten)) == Units(writes={"messages": 2}, assumed=1)


def test_a_read_row_is_known() -> None:
    meter = UnitMeter()
    wanted = {"vestnik-messages": {"Keys": [{"id": {"N": "7"}}], "ConsistentRead": True}}
    meter.measure(call("BatchGetItem", {"RequestItems": wanted}, {"Responses": {"vestnik-messages": [OPEN]}}))
    assert meter.measure(transaction(put(ENDED))) == Units(writes={"messages": 3}, assumed=0)


def test_only_so_many_items_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "REMEMBERED", 1)
    meter = UnitMeter()
    meter.measure(transaction(planned(), planned(OPEN | {"id": {"N": "8"}})))
    assert meter.measure(transaction(put(ENDED))).assumed == 1
    assert meter.measure(transaction(put(ENDED))).assumed == 0


def test_sizes_are_rounded_up_to_a_kilobyte() -> None:
    segments = table_shapes()["segments"]
    small = {"mailing_id": {"S": "m"}, "segment": {"S": "0"}}
    large = small | {"parts": {"L": [{"S": "x" * 1024}]}}
    assert write_units(segments, None, large) == 2
    assert write_units(segments, large, small) == 2
    assert write_units(segments, None, large, in_transaction=True) == 4


def test_a_counter_is_updated_without_knowing_it() -> None:
    update = {
        "TableName": "vestnik-stats",
        "Key": {"mailing_id": {"S": "m"}, "counter": {"S": "total#01"}},
        "UpdateExpression": "ADD #0 :0, #1 :1 SET first_sent_at = if_not_exists(first_sent_at, :f), last_sent_at = :l "
        "REMOVE gone",
        "ExpressionAttributeNames": {"#0": "sent", "#1": "queued"},
        "ExpressionAttributeValues": {":0": {"N": "5"}, ":1": {"N": "-5"}, ":f": {"N": "1"}, ":l": {"N": "2"}},
    }
    made = transaction({"Update": update})
    assert UnitMeter().measure(made) == Units(writes={"stats": 2}, assumed=0)
    assert writes_of(made)[0].after({"gone": {"S": "x"}, "kept": {"S": "y"}}) == {
        "mailing_id": {"S": "m"},
        "counter": {"S": "total#01"},
        "sent": {"N": "5"},
        "queued": {"N": "-5"},
        "first_sent_at": {"N": "1"},
        "last_sent_at": {"N": "2"},
        "kept": {"S": "y"},
    }


def test_a_check_is_a_write_that_changes_nothing() -> None:
    meter = UnitMeter()
    meter.measure(transaction(planned()))
    check = {"ConditionCheck": {"TableName": "vestnik-messages", "Key": {"id": {"N": "7"}}}}
    assert meter.measure(transaction(check)) == Units(writes={"messages": 2}, assumed=0)
    other = {"ConditionCheck": check["ConditionCheck"] | {"Key": {"id": {"N": "8"}}}}
    assert meter.measure(transaction(other)) == Units(writes={"messages": 2}, assumed=0)


def test_a_put_may_say_by_a_placeholder_that_it_is_new() -> None:
    control = {"name": {"S": "pace"}}
    new = put(
        control,
        "control",
        ConditionExpression="attribute_not_exists (#0)",
        ExpressionAttributeNames={"#0": "name"},
    )
    assert [write.is_new for write in writes_of(transaction(new, put(control, "control")))] == [True, False]
    assert not writes_of(transaction(put(OPEN, ConditionExpression="attribute_not_exists(id) OR version = :v")))[
        0
    ].is_new


def test_reads_are_rounded_item_by_item_in_a_batch() -> None:
    large = OPEN | {"last_error": {"S": "x" * 5000}}
    keys = [{"id": {"N": str(number)}} for number in (7, 8, 9)]
    answer = {
        "Responses": {"vestnik-messages": [large]},
        "UnprocessedKeys": {"vestnik-messages": {"Keys": [keys[2]]}},
    }
    for consistent, expected in ((True, 2 + 1.0), (False, (2 + 1) / 2)):
        wanted = {"vestnik-messages": {"Keys": keys, "ConsistentRead": consistent}}
        assert UnitMeter().measure(call("BatchGetItem", {"RequestItems": wanted}, answer)).reads == {
            "messages": expected
        }


def test_a_missing_item_is_read_as_well() -> None:
    request = {"TableName": "vestnik-control", "Key": {"name": {"S": "breaker"}}}
    assert UnitMeter().measure(call("GetItem", request)).reads == {"control": 0.5}
    assert UnitMeter().measure(call("GetItem", request | {"ConsistentRead": True})).reads == {"control": 1}


def test_a_query_is_rounded_as_a_whole() -> None:
    row = {"mailing_id": {"S": "m"}, "counter": {"S": "total#01"}, "sent": {"N": "1"}}
    request = {"TableName": "vestnik-stats", "ConsistentRead": True}
    assert UnitMeter().measure(
        call("Query", request, {"Items": [row] * 65, "Count": 65, "ScannedCount": 65})
    ).reads == {"stats": 1}
    assert UnitMeter().measure(call("Query", request, {"Items": [row] * 200})).reads == {"stats": 2}
    index = {"TableName": "vestnik-messages", "IndexName": "by_due"}
    assert UnitMeter().measure(call("Query", index, {"Items": []})).reads == {"messages": 0.5}


def test_what_nobody_has_used_yet_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="BatchWriteItem"):
        UnitMeter().measure(call("BatchWriteItem", {}))
    with pytest.raises(ValueError, match="DELETE FROM"):
        UnitMeter().measure(executed(('DELETE FROM "vestnik-messages" WHERE id=?', []), answers=[{}]))
    with pytest.raises(ValueError, match="how large"):
        UnitMeter().measure(call("Query", {"TableName": "vestnik-stats"}, {"Items": [], "ScannedCount": 3}))


def test_other_services_and_descriptions_take_no_units() -> None:
    assert UnitMeter().measure(RecordedCall("sender", "sqs", "SendMessageBatch")) == Units()
    assert UnitMeter().measure(call("DescribeTable", {"TableName": "vestnik-stats"})) == Units()


@pytest.mark.parametrize(
    ("number", "size"), [("0", 1), ("7", 2), ("1000", 2), ("1795437253376", 8), ("-25", 3), ("0.005", 2), ("1e100", 2)]
)
def test_numbers_take_a_byte_for_two_digits(number: str, size: int) -> None:
    assert number_size(number) == size


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "äb"}, 3),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"B": "AAECAw=="}, 4),
        ({"SS": ["a", "bc"]}, 3),
        ({"NS": ["12", "345"]}, 5),
        ({"L": [{"S": "ab"}, {"N": "1"}]}, 3 + 1 + 2 + 1 + 2),
        ({"M": {"k": {"S": "ab"}}}, 3 + 1 + 1 + 2),
    ],
)
def test_values_are_as_large_as_dynamodb_says(value: dict[str, Any], size: int) -> None:
    assert value_size(value) == size
    assert item_size({"né": value}) == 3 + size


def test_indexes_are_those_of_the_models() -> None:
    by_due = next(index for index in MESSAGES.indexes if "due_at" in index.keys)
    assert len(MESSAGES.indexes) == 3
    assert by_due.keys == {"due_shard", "due_at"}
    assert by_due.projected == frozenset({"due_shard", "due_at", "id", "mailing_id"})
    assert [index.projected for index in table_shapes()["mailings"].indexes] == [None, None]
