import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.bench import __main__ as bench
from tests.bench.api_latency import ApiLatency, RouteLatency
from tests.bench.bench_stack import Ground
from tests.bench.cold_start import ColdStart, Package
from tests.bench.consumed import Consumption
from tests.bench.delivery import Delivery
from tests.bench.figures import Distribution
from tests.bench.importing import Importing
from tests.bench.machine import Machine, this_machine
from tests.bench.recovery import Recovery
from tests.bench.report import Results, table
from tests.bench.spending import Spending
from tests.bench.start_latency import StartLatency

SPREAD = Distribution.of([1.0, 2.0, 3.0])
DELIVERY = Delivery(clients=1000, sent=1000, request_rate=900, whole_rate=600, bare_rate=1200, duplicates=0, drift=0)
RECOVERY = Recovery(rate_before=800, outage=10, next_probe=4, full_rate=6.5, drained=15, duplicates=0)


SPENT = Consumption(
    calls=Counter({("sender", "dynamodb.TransactWriteItems"): 120, ("api", "dynamodb.GetItem"): 999}),
    write_units={("messages", "sender"): 9040},
)


def results() -> Results:
    return Results(
        Machine(cores=2, load=0.5, system="Linux", python="3.11", versions={"ministack": "1"}, commit="abc"),
        latency_ms=50,
        deliveries=[DELIVERY, replace(DELIVERY, whole_rate=300), replace(DELIVERY, whole_rate=900)],
        package=Package(files=2500, zip_mb=16.62, unpacked_mb=45, unpack_ms=480.4),
        cold_starts=[ColdStart("sender", 350.4, 80)],
        api=ApiLatency((RouteLatency("GET /stats", SPREAD, SPREAD),), busy_rate=700, posts_per_second=250),
        start=StartLatency(SPREAD, SPREAD),
        recoveries=[RECOVERY, replace(RECOVERY, full_rate=None), replace(RECOVERY, full_rate=9)],
    )


def test_a_rate_is_also_a_ratio_to_the_bare_loop() -> None:
    assert (DELIVERY.request_ratio, DELIVERY.whole_ratio) == (0.75, 0.5)


def test_the_report_shows_the_median_and_each_run() -> None:
    text = results().text()
    lines = [line.split() for line in text.splitlines()]
    assert ["POST", "to", "last", "outcome,", "a", "second", "600", "(600,", "300,", "900)"] in lines
    assert ["beyond", "the", "probe", "5.0", "(2.5,", "never,", "5.0)"] in lines
    assert ["sender", "350", "80"] in lines
    assert "\nthe package, 2500 files, 16.6 MB, 45.0 unpacked: 480 to unpack it\n" in text
    assert ["GET", "/stats", *["3", "2.0", "-", "-", "3.0"] * 2] in lines


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (1, ["-", "-", "-"]),
        (19, ["9.00", "-", "-"]),
        (20, ["9.00", "18.00", "-"]),
        (99, ["49.00", "94.00", "-"]),
        (100, ["49.00", "94.00", "98.00"]),
    ],
)
def test_the_report_shows_a_percentile_only_of_enough_values(count: int, shown: list[str]) -> None:
    spread = Distribution.of([float(number) for number in range(count)])
    text = Results(results().machine, latency_ms=50, start=StartLatency(spread, SPREAD)).text()
    [line] = [line.split() for line in text.splitlines() if line.startswith("POST to sent")]
    assert line[-5:] == [str(count), *shown, f"{count - 1}.00"]


def test_the_report_shows_what_programs_took_of_the_processors() -> None:
    told = results()
    used: list[dict[str, float]] = [{"sender": 1.0, "emulator": 0.5}, {"sender": 0.8}, {"emulator": 0.7, "sender": 0.6}]
    told.deliveries = [replace(DELIVERY, processor_ms=one) for one in used]
    lines = [line.split() for line in told.text().splitlines()]
    begin = lines.index(["sender", "0.80", "(1.00,", "0.80,", "0.60)"])
    assert lines[begin + 1 : begin + 3] == [
        ["emulator", "0.50", "(0.50,", "0.00,", "0.70)"],
        ["all", "1.30", "(1.50,", "0.80,", "1.30)"],
    ]


def test_the_report_shows_each_size_by_itself() -> None:
    several = results()
    several.deliveries.insert(0, replace(DELIVERY, clients=10_000))
    titles = [line for line in several.text().splitlines() if line.startswith("delivery")]
    assert [title.split()[2] for title in titles] == ["1000", "10000"]


def test_the_report_leaves_out_what_was_not_measured() -> None:
    nothing = Results(results().machine, latency_ms=50)
    assert nothing.text().strip() == str(nothing.machine)


def test_the_report_shows_what_was_spent_beside_the_budgets() -> None:
    several = results()
    several.spendings.append(Spending(1000, SPENT))
    lines = [line.split() for line in several.text().splitlines()]
    assert ["calls", "of", "AWS", "a", "message", "0.120", "0.15"] in lines
    assert ["write", "units", "a", "message", "9.04", "10"] in lines
    assert ["USD", "for", "a", "million", "messages", "5.65", "7"] in lines
    assert json.loads(json.dumps(several.to_json()))["spendings"][0]["usd_per_million"] == {
        "DynamoDB": pytest.approx(5.65)
    }


def test_json_holds_raw_values_and_medians() -> None:
    told = json.loads(json.dumps(results().to_json()))
    assert told["machine"]["cores"] == 2
    assert [one["whole_rate"] for one in told["deliveries"]] == [600, 300, 900]
    assert told["medians"]["deliveries"][0]["whole_ratio"] == 0.5
    assert told["medians"]["recoveries"]["full_rate"] == 9
    assert told["api"]["routes"][0]["idle"]["values"] == [1.0, 2.0, 3.0]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert list(table([["", "ms"], ["long name", "1"], ["x", "1000"]])) == [
        "             ms",
        "long name     1",
        "x          1000",
    ]


@pytest.mark.parametrize("wrong", [{"sent": 999}, {"duplicates": 1}, {"drift": 2}])
def test_a_delivery_that_lost_repeated_or_miscounted_is_named(wrong: dict[str, Any]) -> None:
    one = results()
    assert one.wrongs == []
    one.deliveries.append(replace(DELIVERY, **wrong))
    assert len(one.wrongs) == 1


def test_what_was_repeated_after_an_outage_is_named() -> None:
    one = results()
    one.recoveries.append(replace(RECOVERY, duplicates=1))
    assert len(one.wrongs) == 1


def test_an_import_is_shown_and_rows_that_it_lost_are_named() -> None:
    whole = Importing(rows=2000, created=1998, unchanged=0, refused=2, seconds=4, peak_mb=79.6)
    good = replace(results(), imports=[whole])
    assert ["2000", "1998", "0", "2", "4", "500", "80"] in [line.split() for line in good.text().splitlines()]
    assert good.wrongs == []
    assert replace(good, imports=[replace(whole, created=1997)]).wrongs


def test_this_machine_says_what_it_is() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert {"ministack", "requests"} <= machine.versions.keys()


# The command.

Part = Callable[[Ground, object, Results], None]


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Part]:
    """Parts that measure nothing in place of those that take minutes."""
    fast: dict[str, Part] = {name: lambda *_: None for name in bench.PARTS}
    monkeypatch.setattr(bench, "PARTS", fast)
    return fast


def test_a_part_that_breaks_keeps_no_other_from_being_measured(
    parts: dict[str, Part], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def breaks(*_: object) -> None:
        raise AssertionError("no answer")

    def delivers(_: Ground, __: object, results: Results) -> None:
        results.deliveries.append(DELIVERY)

    parts |= {"api": breaks, "delivery": delivers}
    file = tmp_path / "bench.json"
    assert bench.main(["--only", "api,delivery", "--json", str(file)]) == 1
    assert "WRONG not finished: api" in capsys.readouterr().out
    assert json.loads(file.read_text())["deliveries"][0]["sent"] == 1000


def test_a_benchmark_whose_messages_are_right_ends_with_zero(parts: dict[str, Part]) -> None:
    assert list(parts) == ["delivery", "cost", "cold", "api", "start", "recovery", "import"]
    assert bench.main(["--latency-ms", "0", "--clients", "100", "--clients", "200"]) == 0


def test_of_a_host_is_measured_what_is_not_of_functions_alone(
    parts: dict[str, Part], capsys: pytest.CaptureFixture[str]
) -> None:
    def is_of_host(ground: Ground, *_: object) -> None:
        assert ground.host

    parts.update(dict.fromkeys(parts, is_of_host))
    assert bench.main(["--host"]) == 0
    said = capsys.readouterr().out
    assert [line.partition(":")[0] for line in said.splitlines() if line.endswith(": 0 s")] == [
        "delivery",
        "api",
        "start",
        "recovery",
        "import",
    ]
    assert ", by infra/host" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--clients", "99"], "at least 100"),
        (["--clients", "many"], "invalid"),
        (["--runs", "0"], "at least 1"),
        (["--latency-ms", "-1"], "at least 0"),
        (["--latency-ms", "nan"], "at least 0"),
        (["--busy-seconds", "-1"], "at least 0"),
        (["--concurrency", "1"], "at least 2"),
        (["--json", "nowhere/bench.json"], "no folder"),
        (["--only", "delivery,api,all"], "there is no all"),
        (["--host", "--only", "api,cost,cold"], "cold, cost: of Lambda functions"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_starts(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        bench.main(arguments)
    assert said in capsys.readouterr().err
