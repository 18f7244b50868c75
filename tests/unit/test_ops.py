"""Rules and dashboards as made: names that exist, links that lead somewhere, windows that scale."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline import metrics
from pipeline.ops import targets
from pipeline.ops.alerts import Alert, Condition, Scale
from pipeline.ops.dashboards import dashboards
from pipeline.ops.exhibit_panels import steps
from pipeline.ops.files import shipped, shipped_exhibit
from pipeline.ops.pipeline_alerts import recordings
from pipeline.ops.rules import every_alert
from schemas.exhibit import parse_target
from schemas.exhibit_file import load_exhibit

ROOT = Path(__file__).parents[2]
EXHIBIT_METRICS = {
    f"cx_exhibit_{name}"
    for name in (
        "value", "n", "low", "high", "target", "clock_timestamp_seconds", "stale_partitions",
        "hidden_cells",
    )
}  # fmt: skip
DASHBOARDS = dashboards(shipped_exhibit())


def declared() -> set[str]:
    """Names of all series of /metrics that exist whatever the exhibits."""
    names = set()
    for family in metrics.REGISTRY.collect():
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"),
                   "info": ("_info",)}  # fmt: skip
        names |= {family.name + ending for ending in endings.get(family.type, ("",))}
    return names


def asked() -> str:
    """Every PromQL text of rules and dashboards."""
    texts = [alert.expression for alert in every_alert([shipped_exhibit()], Scale())]
    texts += [recording.expression for recording in recordings(Scale())]
    texts += [t["expr"] for d in DASHBOARDS.values() for p in d["panels"]
              for t in p.get("targets", ()) if "expr" in t]  # fmt: skip
    return "\n".join(texts)


def test_every_name_asked_for_is_declared():
    # Names of recorded measures have colons: their parts are no metrics.
    recorded = {recording.name for recording in recordings(Scale())}
    names = set(re.findall(r"[a-z_:]*\bcx_[a-z_:0-9]+", asked()))
    assert names - recorded <= declared() | EXHIBIT_METRICS


def test_every_metric_is_shown_or_watched():
    text = asked()
    used = {family.name for family in metrics.REGISTRY.collect() if family.name in text}
    assert {family.name for family in metrics.REGISTRY.collect()} == used


def test_every_alert_has_its_section_in_the_runbook():
    page = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    sections = dict(re.findall(r"^## (Cx\w+)\n(.*?)(?=^## |\Z)", page, re.M | re.S))
    assert set(sections) == {alert.name for alert in every_alert([shipped_exhibit()], Scale())}
    for name, text in sections.items():
        for part in ("**Means.**", "**Check.**", "**Do.**"):
            assert part in text, (name, part)


def test_every_alert_fires_in_a_live_test():
    told = (ROOT / "tests" / "alerts" / "test_alerts.py").read_text("utf-8")
    fired = set(re.findall(r'fires\(\s*"(Cx\w+)"', told))
    cleared = set(re.findall(r'"(Cx\w+)"', "".join(re.findall(r"clears\(([^)]*)\)", told))))
    names = {alert.name for alert in every_alert([shipped_exhibit()], Scale())}
    assert fired == names
    assert cleared == names


def test_every_alert_fires_and_stays_silent_in_a_case_of_promtool():
    fires, silent = set(), set()
    for path in (ROOT / "docker" / "prometheus" / "tests").glob("*.yml"):
        for case in YAML(typ="safe", pure=True).load(path.read_text("utf-8"))["tests"]:
            for asked in case["alert_rule_test"]:
                expected = asked.get("exp_alerts", ())
                fires |= {(asked["alertname"], one["exp_labels"].get("as")) for one in expected}
                if not expected:
                    silent.add(asked["alertname"])
    alerts = every_alert([shipped_exhibit()], Scale())
    assert fires == {(alert.name, alert.labels.get("as")) for alert in alerts}
    assert silent == {alert.name for alert in alerts}


@pytest.mark.parametrize(
    ("factor", "seconds", "text"),
    [(1, 300, "5m"), (1, 3_600, "1h"), (1, 5_400, "1h30m"), (0.1, 300, "30s"), (2, 43_200, "1d"),
     (0.001, 60, "1s"), (1, 90_061, "1d1h1m1s")],
)  # fmt: skip
def test_windows_scale(factor, seconds, text):
    assert Scale(factor).of(seconds) == text


@pytest.mark.parametrize(
    ("factor", "seconds", "text"), [(1, 900, "900"), (0.05, 900, "45"), (0.05, 30, "10")]
)
def test_bounds_scale_but_not_below_what_a_healthy_pipeline_needs(factor, seconds, text):
    assert Scale(factor).bound(seconds) == text


def test_conditions_are_joined():
    alert = Alert("A", (Condition("a", "> 1"), Condition("b", "== 0")), 60, "info", "It is so.",
                  matching="on (stage)")  # fmt: skip
    assert alert.expression == "a > 1\nand on (stage) b == 0"
    assert alert.rule(Scale(0.5)) == {
        "alert": "A", "expr": "a > 1\nand on (stage) b == 0", "for": "30s",
        "labels": {"severity": "info"},
        "annotations": {"summary": "It is so.", "runbook": "docs/runbook.md#a"},
    }  # fmt: skip


EXHIBIT = """
exhibit: sales
by: [queue]
windows: [15m, 1h, today]
kpis:
  - {kpi: abandon_rate, target: "0.01..0.05", min_n: 30}
  - {kpi: asa, target: "<= 20"}
  - {kpi: queue_depth, target: "<= 9", min_n: 5}
  - {kpi: csat_top_box, target: ">= 0.9"}
  - {kpi: fcr_repeat, target: ">= 0.7"}
  - {kpi: occupancy, target: "<= 0.85"}
  - {kpi: aht}
"""


def test_alerts_of_an_exhibit():
    found = [
        (alert.labels["as"], [condition.text for condition in alert.conditions])
        for alert in targets.alerts(load_exhibit(EXHIBIT))
    ]

    def series(what: str, name: str, window: str) -> str:
        return f'cx_exhibit_{what}{{exhibit="sales", as="{name}", window="{window}"}}'

    assert found == [
        ("abandon_rate", [
            series("value", "abandon_rate", "15m") + " < 0.01",
            series("value", "abandon_rate", "1h") + " < 0.01",
            series("high", "abandon_rate", "1h") + " < 0.01",
            series("n", "abandon_rate", "1h") + " >= 30",
        ]),
        ("abandon_rate", [
            series("value", "abandon_rate", "15m") + " > 0.05",
            series("value", "abandon_rate", "1h") + " > 0.05",
            series("low", "abandon_rate", "1h") + " > 0.05",
            series("n", "abandon_rate", "1h") + " >= 30",
        ]),
        ("asa", [series("value", "asa", "15m") + " > 20", series("value", "asa", "1h") + " > 20"]),
        # A gauge holds now and has no observations.
        ("queue_depth", [series("value", "queue_depth", "15m") + " > 9"]),
        # Answers come later than a short window is long.
        ("csat_top_box", [
            series("value", "csat_top_box", "1h") + " < 0.9",
            series("high", "csat_top_box", "1h") + " < 0.9",
        ]),
        # A share of time has no interval.
        ("occupancy", [
            series("value", "occupancy", "15m") + " > 0.85",
            series("value", "occupancy", "1h") + " > 0.85",
        ]),
    ]  # fmt: skip


@pytest.mark.parametrize("windows", ["[today, all]", "[{tumbling: 30m}]"])
def test_without_a_sliding_window_there_is_no_alert(windows):
    text = EXHIBIT.replace("[15m, 1h, today]", windows)
    assert targets.alerts(load_exhibit(text)) == []


@pytest.mark.parametrize(
    ("target", "colours"),
    [(">= 0.8", [("red", None), ("green", 0.8)]), ("<= 30", [("green", None), ("red", 30.0)]),
     ("1..2", [("red", None), ("green", 1.0), ("red", 2.0)])],
)  # fmt: skip
def test_colours_follow_the_target(target, colours):
    assert list(steps(parse_target(target))) == colours
    assert list(steps(None)) == [("text", None)]


def test_dashboards_have_ids_of_their_own():
    uids = [dashboard["uid"] for dashboard in DASHBOARDS.values()]
    assert len(set(uids)) == len(uids) == 7
    assert {one["uid"] for one in DASHBOARDS.values()} >= {
        "cxstream-exhibit", "cxstream-floor", "cxstream-bots", "cxstream-journeys",
        "cxstream-workforce", "cxstream-pipeline",
    }  # fmt: skip


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_have_places_of_their_own(name):
    taken: set[tuple[int, int]] = set()
    numbers = [panel["id"] for panel in DASHBOARDS[name]["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))
    for panel in DASHBOARDS[name]["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize("name", DASHBOARDS)
def test_variables_are_declared(name):
    dashboard = DASHBOARDS[name]
    known = {variable["name"] for variable in dashboard["templating"]["list"]}
    text = json.dumps(dashboard["panels"])
    used = set(re.findall(r"\$\{?([a-z]\w*)", text))
    assert used <= known


def panels() -> list[dict[str, Any]]:
    return [panel for dashboard in DASHBOARDS.values() for panel in dashboard["panels"]]


def test_undefined_is_a_dash():
    for panel in panels():
        if panel.get("targets"):
            defaults = panel["fieldConfig"]["defaults"]
            assert defaults["noValue"] == "-"
            assert defaults["mappings"][0]["options"]["match"] == "null+nan"


def test_each_kpi_shows_state_n_and_interval_and_leads_to_its_rows():
    behind = {panel["id"]: panel["title"] for panel in DASHBOARDS["interactions.json"]["panels"]}
    shown = [panel for panel in DASHBOARDS["exhibit-overview.json"]["panels"]
             if panel["type"] == "stat" and "Definition" in
             [link["title"] for link in panel.get("links", ())]]  # fmt: skip
    assert len(shown) == len(shipped_exhibit().kpis)
    for panel in shown:
        names = [target["legendFormat"] for target in panel["targets"]]
        assert names[0] == "value ({{state}})"
        name = re.search(r'as="([^"]+)"', panel["targets"][0]["expr"])
        assert name is not None
        led = {
            link["title"]: behind[int(re.findall(r"viewPanel=(\d+)", link["url"])[0])]
            for link in panel["links"]
        }
        assert led == {
            "Definition": f"What {name[1]} means",
            "Interactions behind it, with SQL": f"What {name[1]} counted",
        }
    by_name = dict(zip([entry.name for entry in shipped_exhibit().kpis], shown, strict=True))
    assert [t["legendFormat"] for t in by_name["abandon_rate"]["targets"]] == [
        "value ({{state}})", "n ({{state}})", "low 95 % ({{state}})", "high 95 % ({{state}})",
    ]  # fmt: skip
    assert len(by_name["longest_wait"]["targets"]) == 1


def test_files_that_are_shipped_are_all_there_is():
    for folder in ("docker/prometheus/rules", "docker/grafana/dashboards"):
        there = {f"{folder}/{path.name}" for path in (ROOT / folder).iterdir()}
        assert there == {name for name in shipped() if name.startswith(folder)}
