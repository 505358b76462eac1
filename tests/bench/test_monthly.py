import json
from pathlib import Path

import pytest

from bundle import make_bundle
from tests.bench import prices
from tests.bench.monthly import lines, table
from tests.merged_template import Part

DOCUMENT = Path(__file__).parents[2] / "docs" / "PERFORMANCE.md"
TEMPLATE: Part = {
    "Resources": {
        "Clock": {"Type": "AWS::CloudWatch::Alarm", "Properties": {}},
        "Key": {"Type": "AWS::SecretsManager::Secret", "Properties": {}},
    }
}


def test_idle_month_costs_what_stands_there() -> None:
    idle = {what: usd[0] for _, what, usd in lines(TEMPLATE, [0]) if usd[0]}

    assert idle == {
        "the dispatcher's minutes": 3.3,
        "metrics: 12, busy 20 more": pytest.approx(12 * prices.METRICS.usd),
        "1 alarms": prices.ALARMS.usd,
        "1 secrets at most": prices.SECRETS.usd,
    }


def test_messages_cost_in_proportion() -> None:
    for _, what, (idle, one, ten) in lines(TEMPLATE, [0, 1_000_000, 10_000_000]):
        if not what.startswith("metrics"):
            assert ten - idle == pytest.approx(10 * (one - idle)), what


def test_last_line_is_the_sum() -> None:
    *rows, last = list(table(TEMPLATE, [1_000_000]))[2:]
    sums = [float(row.split("|")[3]) for row in rows]

    assert float(last.split("|")[3].strip(" *")) == pytest.approx(sum(sums), abs=0.06)


def test_documented_table_is_the_reckoned_one() -> None:
    reckoned = list(table(json.loads(make_bundle().template.read_text())))

    assert "\n".join(reckoned) in DOCUMENT.read_text(), "put in what `make cost` prints"
