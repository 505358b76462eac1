from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain import bulk_import as limits
from chalicelib.domain.bulk_import import ImportKind, ImportStatus, Refusal, Tally
from chalicelib.domain.client import Client
from chalicelib.errors import NotFoundError, TransientError
from chalicelib.services.optimistic import TRIES
from tests.builders import NOW, client, ulid
from tests.fakes.watched import Hook, Killed, KillSwitch, Moment, failing
from tests.import_world import ImportWorld, csv_of, phones

MINUTE = timedelta(minutes=1)
ROWS = 120  # three batches
FILE = csv_of(f"{phone if index % 10 else 'x'},Asia/Omsk,new" for index, phone in enumerate(phones(ROWS)))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH_ROWS", 50)


@pytest.fixture
def world() -> ImportWorld:
    return ImportWorld()


def by_phone(world: ImportWorld) -> dict[str, Client]:
    return {one.phone: one for one in world.clients.stored.values()}


def test_clients_are_created_as_the_api_would(world: ImportWorld) -> None:
    done = world.imported(csv_of(["79161234567,Europe/Moscow,vip", "79031234567,+03:00,"]))
    assert (done.status, done.failure, done.finished_at, done.due_at) == (ImportStatus.FINISHED, None, NOW, None)
    first, second = world.clients.stored.values()
    assert first == client(id=first.id, phone="79161234567", tag="vip")
    assert (second.operator_code, second.tag, second.timezone) == ("903", None, "+03:00")
    assert world.audit(done) == Counter(created=2)
    assert (done.offset, done.rows) == (done.size_bytes, 2)


def test_who_has_the_phone_is_changed_and_what_changes_nothing_writes_nothing(world: ImportWorld) -> None:
    same = client(id=ulid(1), phone="79160000001", tag="a")
    moved = client(id=ulid(2), phone="79160000002", tag="a")
    world.clients.create(same)
    world.clients.create(moved)
    world.clock.advance(MINUTE)
    done = world.imported(csv_of([f"{same.phone},{same.timezone},a", f"{moved.phone},Asia/Omsk,"]))
    assert world.clients.get(same.id) == same
    assert world.clients.get(moved.id) == replace(
        moved, timezone="Asia/Omsk", tag=None, updated_at=NOW + MINUTE, version=2
    )
    assert world.audit(done) == Counter(changed=1, unchanged=1)


def test_a_column_that_the_file_lacks_leaves_the_field_as_it_is(world: ImportWorld) -> None:
    one = client(tag="vip", operator_code="999")
    world.clients.create(one)
    world.imported(csv_of([f"{one.phone},Asia/Omsk"], header="phone,timezone"))
    assert world.clients.get(one.id) == replace(one, timezone="Asia/Omsk", version=2)


def test_an_empty_operator_code_is_that_of_the_phone(world: ImportWorld) -> None:
    one = client(operator_code="999")
    world.clients.create(one)
    world.imported(csv_of([f",{one.timezone},{one.phone}"], header="operator_code,timezone,phone"))
    assert by_phone(world)[one.phone].operator_code == "916"


@pytest.mark.parametrize("apart", [0, 60], ids=["one batch", "two batches"])
def test_of_rows_with_the_same_phone_the_last_one_wins(world: ImportWorld, apart: int) -> None:
    (phone,) = phones(1, first=9_000_000)
    others = [f"{other},Asia/Omsk," for other in phones(apart)]
    done = world.imported(csv_of([f"{phone},Asia/Omsk,a", *others, f"{phone},Asia/Omsk,b", f"{phone},Asia/Omsk,b"]))
    assert by_phone(world)[phone].tag == "b"
    assert world.audit(done) == Counter(created=apart + 1, changed=1, unchanged=1)


def test_rows_are_refused_in_the_words_of_the_api_and_never_shown(world: ImportWorld) -> None:
    done = world.imported(
        csv_of(
            [
                "7916,Europe/Moscow,a",
                "79160000001,Mars/Olympus,a",
                "79160000002,Europe/Moscow",
                '"79160000003"x,Europe/Moscow,a',
                ",Nowhere,",
                '79160000004,Europe/Moscow,"a\nb"',
                "",
                "79160000005,Europe/Moscow,a",
            ]
        )
    )
    zone = "must be an IANA time zone or an offset from -12:00 to +14:00"
    pattern = "String should match pattern '^7[0-9]{10}$'"
    assert world.refusals(done) == [
        Refusal(2, "phone", pattern),
        Refusal(3, "timezone", zone),
        Refusal(4, "row", "has 2 cells, where the header has 3"),
        Refusal(5, "row", "is not well-formed CSV: something follows a closing quote, or a line ends within a row"),
        Refusal(6, "phone", f"{pattern}; timezone: {zone}"),
        Refusal(7, "tag", "must not contain control characters"),
    ]
    assert world.audit(done) == Counter(created=1, refused=6)


def test_of_very_many_refused_rows_the_first_are_kept_and_all_counted(
    world: ImportWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_LISTED", 70)
    done = world.imported(csv_of(["x,y,z"] * ROWS))
    assert (done.status, done.rows, done.refused, done.listed) == (ImportStatus.FINISHED, ROWS, ROWS, 70)
    assert [one.line for one in world.refusals(done)] == list(range(2, 72))


@pytest.mark.parametrize("moment", Moment)
def test_killed_anywhere_it_goes_on_and_the_counts_are_right(moment: Moment) -> None:
    whole = ImportWorld(hook=(counting := KillSwitch()))
    expected = whole.audit(whole.imported(FILE))
    assert expected == Counter(created=ROWS - 12, refused=12)
    for number in range(1, counting.calls + 1):
        world = ImportWorld()
        one = world.uploaded(FILE)
        world.hook = KillSwitch(number, moment)
        with pytest.raises(Killed):
            world.run(one)
        world.hook = None
        done = world.run(one)
        assert done.status is ImportStatus.FINISHED
        assert world.audit(done) == expected
        assert len(by_phone(world)) == ROWS - 12


def test_without_time_it_hands_itself_on_and_loses_nothing(world: ImportWorld) -> None:
    one = world.uploaded(FILE)
    runs = 0

    def slowly(moment: Moment, name: str) -> None:
        if moment is Moment.AFTER and name == "change_many":
            world.clock.advance(timedelta(seconds=1))

    world.hook = slowly
    while not world.run(one, seconds=15).ended:
        runs += 1
        assert world.tickets.imports == [one.id] * runs
    assert runs == 2
    assert world.audit(one) == Counter(created=ROWS - 12, refused=12)


def test_of_two_at_once_one_leaves_it_to_the_other(world: ImportWorld) -> None:
    one = world.uploaded(FILE)

    def other_is_first(moment: Moment, _name: str) -> None:
        if moment is Moment.BEFORE:
            world.hook = None
            world.run(one)

    world.hook = other_is_first
    assert world.run(one).status is ImportStatus.FINISHED
    assert world.audit(one) == Counter(created=ROWS - 12, refused=12)


def test_an_import_that_has_ended_is_left_alone(world: ImportWorld) -> None:
    done = world.imported(FILE)
    world.uploads.files[done.id] = csv_of(["79169999999,Asia/Omsk,"]).encode()
    assert world.run(done) == done
    world.run_import()(ulid(7), NOW + MINUTE)
    assert set(world.imports.stored) == {done.id}


@pytest.mark.parametrize(
    ("content", "failure", "created"),
    [
        (b"", "the file is empty; its first line must name the columns", 0),
        (b"phone\n", "the header lacks timezone; there may be phone, timezone, operator_code, tag", 0),
        (FILE.encode() + b"\xff\n", "line 122 is not UTF-8; save the file as CSV in UTF-8", ROWS - 12),
        (FILE.encode() + b'"', "line 122: a quote is opened that is never closed", ROWS - 12),
    ],
)
def test_a_file_that_cannot_be_read_on_fails_and_says_what_was_done(
    world: ImportWorld, content: bytes, failure: str, created: int
) -> None:
    done = world.imported(content)
    assert (done.status, done.failure, done.ended) == (ImportStatus.FAILED, failure, True)
    assert world.audit(done)["created"] == created == len(by_phone(world))
    assert done.offset <= done.size_bytes


def test_a_file_that_is_replaced_while_it_is_read_is_not_mixed(world: ImportWorld) -> None:
    one = world.uploaded(FILE)

    def replaced(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.BEFORE, "replace") and world.imports.stored[one.id].rows:
            world.uploads.files[one.id] = csv_of(["79169999999,Asia/Omsk,"]).encode()
            raise Killed

    world.hook = replaced
    with pytest.raises(Killed):
        world.run(one)
    world.hook = None
    done = world.run(one)
    assert done.failure == "another file was uploaded in its place while it was read"
    assert done.rows == 50


def test_a_file_that_is_deleted_while_it_is_read_ends_the_import(world: ImportWorld) -> None:
    one = world.uploaded(FILE)
    world.hook = KillSwitch(5)
    with pytest.raises(Killed):
        world.run(one)
    world.hook = None
    del world.uploads.files[one.id]
    assert world.run(one).failure == "the file was deleted while it was read"


def test_an_import_waits_for_its_file_until_nobody_can_upload_it_any_more(world: ImportWorld) -> None:
    new, form = world.manage().create(ImportKind.CLIENTS)
    assert form.fields["key"] == new.id
    world.clock.advance(timedelta(minutes=89))
    assert world.run(new) == new
    world.clock.advance(MINUTE)
    done = world.run(new)
    assert (done.status, done.failure) == (ImportStatus.FAILED, "no file was uploaded in time")


def test_a_batch_that_kills_each_run_ends_the_import_with_a_word(world: ImportWorld) -> None:
    one = world.uploaded(FILE)
    for _ in range(10):
        world.hook = failing(RuntimeError("a fault of ours"), times=1)
        world.hook = _at("find_by_phones", world.hook)
        with pytest.raises(RuntimeError):
            world.run(one)
    done = world.run(one)
    assert done.failure == "line 1: 10 runs did not get past it; the importer's log says why"
    assert by_phone(world) == {}


def _at(method: str, hook: Hook) -> Hook:
    def only(moment: Moment, name: str) -> None:
        if name == method:
            hook(moment, name)

    return only


def test_progress_forgives_earlier_runs(world: ImportWorld) -> None:
    one = world.uploaded(FILE)
    world.imports.stored[one.id] = replace(one, tries=9)
    world.hook = _at("replace", KillSwitch(3))
    with pytest.raises(Killed):
        world.run(one)
    assert world.imports.stored[one.id].tries == 0


def test_a_client_that_others_change_meanwhile_is_read_again(world: ImportWorld) -> None:
    one = client(tag="a")
    world.clients.create(one)

    def interfering(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.AFTER, "find_by_phones"):
            world.hook = None
            before = world.clients.stored[one.id]
            if before.version < TRIES:
                world.clients.replace(before, replace(before, operator_code="999", version=before.version + 1))

    world.hook = interfering
    done = world.imported(csv_of([f"{one.phone},Asia/Omsk,b", "79031234567,Asia/Omsk,"]))
    after = by_phone(world)[one.phone]
    assert (after.operator_code, after.tag, after.version) == ("999", "b", TRIES + 1)
    assert world.audit(done) == Counter(created=1, changed=1)


def test_a_client_that_others_keep_changing_has_the_ticket_come_again(world: ImportWorld) -> None:
    one = client(tag="a")
    world.clients.create(one)

    def interfering(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.AFTER, "find_by_phones"):
            before = world.clients.stored[one.id]
            world.clients.stored[one.id] = replace(before, version=before.version + 1)

    world.hook = interfering
    with pytest.raises(TransientError, match="kept changing"):
        world.imported(csv_of([f"{one.phone},Asia/Omsk,b"]))


def test_large_rows_are_worked_off_a_megabyte_at_a_time(world: ImportWorld) -> None:
    saves = 0

    def counted(moment: Moment, name: str) -> None:
        nonlocal saves
        saves += (moment, name) == (Moment.AFTER, "replace")

    world.hook = counted
    done = world.imported(csv_of([f"{phone},Asia/Omsk,{'x' * 60_000}" for phone in phones(40)]))
    assert (done.refused, saves) == (40, 1 + 3 + 1)
    assert {length for _, _, length in world.uploads.reads} == {1024 * 1024}


def test_an_import_of_nobody_is_not_found(world: ImportWorld) -> None:
    with pytest.raises(NotFoundError):
        world.manage().get(ImportKind.CLIENTS, ulid(1))


def test_a_looked_at_import_tells_what_it_did(world: ImportWorld) -> None:
    done = world.imported(FILE)
    assert world.manage().get(ImportKind.CLIENTS, done.id) == (done, Tally(ROWS - 12, 0))
    page = world.manage().refusals(done.id, None, 5)
    assert ([one.line for one in page.items], page.next) == ([2, 12, 22, 32, 42], "42")


# --- Brought back


def test_an_import_that_nobody_is_at_is_brought_back(world: ImportWorld) -> None:
    one = world.uploaded(FILE)
    assert world.resume() == 0
    world.clock.advance(7 * MINUTE)
    assert (world.resume(), world.resume()) == (1, 0)
    assert world.tickets.imports == [one.id]
    world.clock.advance(7 * MINUTE)
    assert world.resume() == 1


def test_an_import_at_which_somebody_is_or_that_has_ended_is_left(
    world: ImportWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, one = world.imported(FILE), world.uploaded(FILE)
    monkeypatch.setattr(world.imports, "due", lambda *_: [done.id, one.id, ulid(3)])
    older = replace(one, version=0)
    monkeypatch.setattr(world.imports, "get", {done.id: world.imports.stored[done.id], one.id: older}.get)
    assert world.resume() == 0
    assert world.tickets.imports == []
