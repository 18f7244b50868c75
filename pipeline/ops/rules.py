"""The rule files of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from pipeline.ops import pipeline_alerts, targets
from pipeline.ops.alerts import Alert, Scale
from schemas.exhibit import Exhibit

_HEAD = "# Made by `make docs` from pipeline/ops/. Do not edit.\n"


def every_alert(exhibits: Sequence[Exhibit], scale: Scale) -> list[Alert]:
    """All alerts, those on the pipeline first."""
    found = pipeline_alerts.alerts(scale, exhibits)
    for exhibit in exhibits:
        found += targets.alerts(exhibit)
    return found


def pipeline_rules(exhibits: Iterable[Exhibit], scale: Scale) -> str:
    """Recording and alerting rules on the pipeline."""
    return _file(
        {
            "cxstream-measures": [one.rule() for one in pipeline_alerts.recordings(scale)],
            "cxstream-pipeline": [
                one.rule(scale) for one in pipeline_alerts.alerts(scale, exhibits)
            ],
        }
    )


def exhibit_rules(exhibit: Exhibit, scale: Scale) -> str:
    """Alerting rules on the targets of an exhibit."""
    rules = [one.rule(scale) for one in targets.alerts(exhibit)]
    return _file({f"cxstream-exhibit-{exhibit.exhibit}": rules})


def _file(groups: dict[str, list[dict[str, Any]]]) -> str:
    writer = YAML()
    writer.width = 10_000
    writer.indent(mapping=2, sequence=4, offset=2)
    out = StringIO()
    told = [{"name": name, "rules": [_shown(r) for r in rules]} for name, rules in groups.items()]
    writer.dump({"groups": told}, out)
    return _HEAD + out.getvalue()


def _shown(rule: dict[str, Any]) -> dict[str, Any]:
    """Expressions of several lines as they are read best."""
    text = rule["expr"]
    return {**rule, "expr": LiteralScalarString(text) if "\n" in text else text}
