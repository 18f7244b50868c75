"""Which files are made, and for whom."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from pipeline.docs.markdown import code, table
from pipeline.ops.alerts import Alert, Scale
from pipeline.ops.dashboards import dashboards, written
from pipeline.ops.rules import every_alert, exhibit_rules, pipeline_rules
from schemas.exhibit import Exhibit
from schemas.exhibit_file import load_exhibit

RULES = "prometheus/rules"
DASHBOARDS = "grafana/dashboards"


def shipped_exhibit() -> Exhibit:
    """The exhibit that rules and dashboards in the repository are made for."""
    return load_exhibit(_shipped())


def _shipped() -> Path:
    return Path(str(resources.files("schemas.exhibits") / "default.yaml"))


def made(exhibits: Sequence[Exhibit], scale: Scale) -> dict[str, str]:
    """Text of each file by its path below the target folder; dashboards show the first exhibit."""
    files = {f"{RULES}/pipeline.yml": pipeline_rules(exhibits, scale)}
    for exhibit in exhibits:
        files[f"{RULES}/exhibit-{exhibit.exhibit}.yml"] = exhibit_rules(exhibit, scale)
    for name, dashboard in dashboards(exhibits[0]).items():
        files[f"{DASHBOARDS}/{name}"] = written(dashboard)
    return files


def shipped() -> dict[str, str]:
    """What the repository carries, by path from its root."""
    files = {f"docker/{name}": text for name, text in made([shipped_exhibit()], Scale()).items()}
    # Kustomize reads no file outside of its folder.
    copy = "docker/kubernetes/base/exhibits/default.yaml"
    return {**files, copy: _shipped().read_text("utf-8")}


def alerts_table() -> str:
    """Every alert of the shipped rules, once."""
    found: dict[str, list[Alert]] = {}
    for alert in every_alert([shipped_exhibit()], Scale()):
        found.setdefault(alert.name, []).append(alert)
    return table(("alert", "severity", "when"), map(_row, found.values()))


def _row(alerts: Sequence[Alert]) -> Sequence[str]:
    """One alert; of a target of each KPI only how many rules there are."""
    alert, *others = alerts
    when = code(alert.expression) if not others else f"{len(alerts)} rules, one a target"
    return (f"[{alert.name}](#{alert.name.lower()})", alert.severity, when)
