"""What stands in infra/monitoring, and what docs/OPERATIONS.md says of it, against what /metrics exports."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from chalicelib.api.exposition import exposed, families
from chalicelib.domain.dead_letter import DeadQueue
from chalicelib.domain.figures import DriftCheck, Figures, Record, Watch
from tests.builders import NOW
from tests.fakes.dead_letters import FakeDeadLetters
from tests.prometheus import MONITORING, promtool
from tests.world import World

OPERATIONS = Path(__file__).parents[2] / "docs/OPERATIONS.md"
NAME = re.compile(r"vestnik_[a-z_]+")
ROW = re.compile(r"^\| `(vestnik_[a-z_]+)(?:\{([a-z_, ]+)\})?` \|", re.MULTILINE)
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
RULES = [rule for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def everything() -> Figures:
    """Make figures of which nothing is unknown."""
    world = World()
    dead = FakeDeadLetters(world.clock)
    dead.add(DeadQueue.SEND, "garbage")
    world.figures.stored = Record(
        counts=Counter(attempts=1), token_expires_at=NOW, watch=Watch(NOW), drift=DriftCheck(NOW, 0, {"right": 1})
    )
    return world.read_figures(dead)()


def exported() -> dict[str, set[str]]:
    """List the names of all samples with their labels."""
    text, _ = exposed(everything(), "")
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_promtool_finds_no_fault_with_the_metrics() -> None:
    text, _ = exposed(everything(), "")
    assert promtool("check", "metrics", given=text) == ""


def test_each_metric_says_what_it_is() -> None:
    for family in families(everything()):
        assert family.name.startswith("vestnik_")
        assert family.documentation.endswith("."), family.name


def test_what_is_unknown_is_left_out_and_all_the_rest_is_well_formed() -> None:
    unknown = dict.fromkeys(("record", "mailings", "messages", "planning", "breaker", "queues", "dead_letters"))
    text, _ = exposed(replace(everything(), **unknown), "")  # type: ignore[arg-type]
    assert promtool("check", "metrics", given=text) == ""
    assert set(NAME.findall(re.sub("^#.*$", "", text, flags=re.MULTILINE))) == {
        "vestnik_build_info",
        "vestnik_scrape_errors_total",
        "vestnik_source_up",
    }


def test_what_was_never_seen_is_left_out() -> None:
    text, _ = exposed(replace(everything(), record=Record()), "")
    told = set(NAME.findall(text))
    assert "vestnik_attempts_total" in told
    assert not {name for name in told if name.endswith("_timestamp_seconds")}


def test_each_metric_is_documented_and_nothing_else_is() -> None:
    documented = {name: set(re.findall("[a-z_]+", labels)) for name, labels in ROW.findall(OPERATIONS.read_text())}
    names = {re.sub("_(bucket|count|sum)$", "", name): labels - {"le"} for name, labels in sorted(exported().items())}
    assert documented == names


def test_each_alert_is_documented() -> None:
    text = OPERATIONS.read_text()
    assert [rule["alert"] for rule in RULES if f"`{rule['alert']}`" not in text] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alerts_ask_for_what_is_exported(rule: dict[str, Any]) -> None:
    assert set(NAME.findall(rule["expr"])) <= exported().keys()
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]


def test_the_dashboard_asks_for_what_is_exported_and_shows_all_of_it() -> None:
    asked = {name for expression in EXPRESSIONS for name in NAME.findall(expression)}
    assert asked <= exported().keys()
    assert exported().keys() - asked == set()


def test_promtool_understands_the_dashboard(tmp_path: Path) -> None:
    """By way of rules: what is no expression is no rule."""
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(EXPRESSIONS)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", file)


def test_panels_are_told_apart_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_the_rules_are_as_promtool_wants_them() -> None:
    assert f"SUCCESS: {len(RULES)} rules found" in promtool("check", "rules", MONITORING / "alerts.yml")


def test_the_rules_do_what_their_tests_say() -> None:
    assert "SUCCESS" in promtool("test", "rules", MONITORING / "alerts_test.yml")


def test_each_rule_is_seen_to_fire_and_to_be_quiet() -> None:
    tests = yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    for rule in RULES:
        fires = {bool(case["exp_alerts"]) for case in cases if case["alertname"] == rule["alert"]}
        assert fires == {True, False}, rule["alert"]


def test_the_example_is_as_promtool_wants_it(tmp_path: Path) -> None:
    example = (MONITORING / "prometheus.yml").read_text()
    secret = tmp_path / "secret"
    secret.write_text("x")
    (tmp_path / "alerts.yml").write_text((MONITORING / "alerts.yml").read_text())
    file = tmp_path / "prometheus.yml"
    file.write_text(example.replace("../../.local/scrape-secret", str(secret)))
    assert "SUCCESS" in promtool("check", "config", file)
