from tests.bench.processors import used_between


def test_programs_used_what_their_processes_did_in_between() -> None:
    before = {("sender", 1): 2.0, ("sender", 2): 1.0, ("emulator", 3): 5.0, ("planner", 4): 1.0}
    after = {("sender", 1): 2.5, ("sender", 5): 0.25, ("emulator", 3): 6.0, ("api", 6): 0.0}
    assert used_between(before, after) == {"emulator": 1.0, "sender": 0.75, "api": 0.0}
    assert list(used_between(before, after)) == ["emulator", "sender", "api"]
