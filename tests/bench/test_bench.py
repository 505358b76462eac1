import json
from pathlib import Path

from tests.bench.__main__ import main


def test_a_delivery_is_measured_on_the_packaged_application(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    assert main(["--only", "delivery,cost,cold", "--clients", "100", "--runs", "1", "--json", str(file)]) == 0
    told = json.loads(file.read_text())
    [delivery] = told["deliveries"]
    assert (delivery["sent"], delivery["duplicates"], delivery["drift"]) == (100, 0, 0)
    used = delivery["processor_ms"]
    assert {"sender", "emulator", "provider simulator", "api", "benchmark"} <= used.keys()
    assert all(used[program] > 0 for program in ("sender", "emulator"))
    assert {one["function"] for one in told["cold_starts"]} == {
        "api",
        "planner",
        "plan-segment",
        "sender",
        "dispatcher",
    }
    assert all(figure > 0 for figure in told["package"].values())
    functions = told["spendings"][0]["consumption"]["lambdas"]
    assert {"sender", "dispatcher", "drift-check", "daily-report"} <= functions.keys()
    assert all(function["peak_memory_mb"] > 0 for function in functions.values())
    assert told["spendings"][0]["write_units_per_message"] > 8
    assert delivery["request_rate"] > delivery["whole_rate"] > 0
