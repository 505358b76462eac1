import threading

import pytest

from infra.host.calls import Call, Calls
from infra.host.function_process import CallError
from tests.host.conftest import function


def test_little_work_stays_with_one_process() -> None:
    calls, pids = Calls(function(), 3, lambda *_: None), set[object]()

    def tell(call: Call) -> None:
        pids.add(call({"do": "tell"})["pid"])  # type: ignore[index]

    for _ in range(5):
        assert calls.wait_for_room(0)
        calls.begin(tell)
        with calls._changed:
            assert calls._changed.wait_for(lambda: calls._begun == 0, 20)
    calls.end()

    assert len(pids) == 1


def assert_set(event: threading.Event) -> None:
    assert event.wait(20)


def test_there_is_no_room_while_all_processes_are_at_work() -> None:
    calls, go_on = Calls(function(), 2, lambda *_: None), threading.Event()
    for _ in range(2):
        assert calls.wait_for_room(0)
        calls.begin(lambda _: assert_set(go_on))

    assert not calls.wait_for_room(0.1)
    go_on.set()
    assert calls.wait_for_room(20)
    calls.end()


def test_what_goes_wrong_is_logged_and_the_next_is_done(caplog: pytest.LogCaptureFixture) -> None:
    calls, done = Calls(function(), 1, lambda *_: None), threading.Event()

    def fail(error: Exception) -> None:
        raise error

    calls.begin(lambda _: fail(CallError("took too long")))
    calls.begin(lambda _: fail(ValueError("wrong")))
    calls.begin(lambda _: done.set())
    calls.end()

    assert done.is_set()
    assert [(record.message, record.levelname) for record in caplog.records] == [
        ("call failed", "ERROR"),
        ("work not done", "ERROR"),
    ]
