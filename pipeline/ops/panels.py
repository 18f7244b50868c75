"""Panels of Grafana as data: what of a panel this project decides, the rest is Grafana's default.

Undefined values are a dash everywhere, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

PROMETHEUS: Final = {"type": "prometheus", "uid": "cxstream-prometheus"}
CLICKHOUSE: Final = {"type": "grafana-clickhouse-datasource", "uid": "cxstream-clickhouse"}
PLUGIN_VERSION: Final = "4.21.3"
UNITS: Final = {
    "ratio": "percentunit", "seconds": "s", "count": "short", "score": "short", "points": "short",
}  # fmt: skip
"""Grafana's units by ours."""
WIDTH: Final = 24
"""Columns of a dashboard."""

_DASH: Final = [
    {"type": "special", "options": {"match": "null+nan", "result": {"text": "-", "index": 0}}}
]

Json = dict[str, Any]


@dataclass(frozen=True)
class Ask:
    """One query of a panel: PromQL, or SQL where ``sql`` says so.

    Attributes:
        legend: Name of the series, with labels in double braces.
        instant: Only the last value, for tables and single numbers.
        series: SQL whose rows are points in time.
    """

    text: str
    legend: str = ""
    instant: bool = False
    sql: bool = False
    series: bool = False

    def target(self, ref: str) -> Json:
        """The query as Grafana stores it."""
        if self.sql:
            kind = "timeseries" if self.series else "table"
            return {
                "refId": ref, "datasource": CLICKHOUSE, "editorType": "sql", "rawSql": self.text,
                "queryType": kind, "format": 0 if self.series else 1,
                "pluginVersion": PLUGIN_VERSION,
            }  # fmt: skip
        told: Json = {
            "refId": ref, "datasource": PROMETHEUS, "editorMode": "code", "expr": self.text,
            "legendFormat": self.legend or "__auto", "range": not self.instant,
            "instant": self.instant,
        }  # fmt: skip
        return told


@dataclass(frozen=True)
class Panel:
    """One panel, without its place.

    Attributes:
        kind: Grafana's panel type.
        unit: Grafana's unit of its values.
        steps: Colours by value, the first without a bound.
        links: Titles and addresses.
        overrides: Properties of single series or columns, by the pattern of their names.
        options: What the panel type takes.
        stacked: Areas on top of each other.
    """

    title: str
    kind: str
    asks: tuple[Ask, ...] = ()
    description: str = ""
    unit: str = "short"
    width: int = 8
    height: int = 8
    steps: Sequence[tuple[str, float | None]] = (("text", None),)
    links: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    stacked: bool = False

    def json(self, number: int, x: int, y: int) -> Json:
        """The panel at its place, as Grafana stores it."""
        place = {"x": x, "y": y, "w": self.width, "h": self.height}
        told: Json = {"id": number, "type": self.kind, "title": self.title, "gridPos": place}
        if self.description:
            told["description"] = self.description
        if self.kind == "row":
            return {**told, "collapsed": False, "panels": []}
        told["options"] = dict(self.options)
        if self.links:
            told["links"] = [link(name, url=url) for name, url in self.links.items()]
        if self.asks:
            source = CLICKHOUSE if self.asks[0].sql else PROMETHEUS
            told["datasource"] = source
            told["targets"] = [a.target(chr(65 + i)) for i, a in enumerate(self.asks)]
            told["fieldConfig"] = self._fields()
        return told

    def _fields(self) -> Json:
        defaults: Json = {
            "unit": self.unit,
            "noValue": "-",
            "mappings": _DASH,
            "color": {"mode": "thresholds" if len(self.steps) > 1 else "palette-classic"},
            "thresholds": {
                "mode": "absolute",
                "steps": [{"color": colour, "value": value} for colour, value in self.steps],
            },
        }
        if self.kind == "timeseries":
            defaults["custom"] = {
                "spanNulls": False,
                "fillOpacity": 30 if self.stacked else 0,
                "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
            }
        overrides = [
            {"matcher": {"id": "byRegexp", "options": pattern}, "properties": [*properties]}
            for pattern, properties in self.overrides.items()
        ]
        return {"defaults": defaults, "overrides": overrides}


def in_unit(unit: str) -> list[Json]:
    """Properties of what has a unit of its own, and no target."""
    plain = [{"color": "text", "value": None}]
    return [
        {"id": "unit", "value": unit},
        {"id": "thresholds", "value": {"mode": "absolute", "steps": plain}},
    ]


def only_told() -> list[Json]:
    """Properties of a series that stands in the tooltip, and is not drawn."""
    hidden = {"viz": True, "legend": True, "tooltip": False}
    return [{"id": "custom.hideFrom", "value": hidden}]


def yes_or_no() -> list[Json]:
    """Properties of a column of 1 and 0."""
    words = {"1": {"text": "yes", "index": 0}, "0": {"text": "no", "index": 1}}
    return [{"id": "mappings", "value": [{"type": "value", "options": words}, *_DASH]}]


def leading(links: Mapping[str, str]) -> list[Json]:
    """Properties of a column whose cells lead somewhere."""
    told = [{"title": title, "url": url} for title, url in links.items()]
    return [{"id": "links", "value": told}]


def link(title: str, **told: Any) -> Json:
    """A link of a panel or dashboard; to an address unless ``told`` says otherwise."""
    return {
        "title": title, "type": "link", "url": "", "tags": [], "icon": "", "tooltip": "",
        "asDropdown": False, "includeVars": False, "keepTime": False, "targetBlank": False, **told,
    }  # fmt: skip


def row(title: str) -> Panel:
    """A heading over the panels that follow."""
    return Panel(title, "row", width=WIDTH, height=1)


def text(title: str, markdown: str, *, width: int = 8, height: int = 8) -> Panel:
    """A panel of prose."""
    return Panel(
        title, "text", width=width, height=height,
        options={"mode": "markdown", "content": markdown},
    )  # fmt: skip


def series(title: str, *asks: Ask, **more: Any) -> Panel:
    """Lines over time."""
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
    tooltip = {"mode": "multi", "sort": "desc"}
    return Panel(title, "timeseries", asks, options={"legend": legend, "tooltip": tooltip}, **more)


def numbers(title: str, *asks: Ask, **more: Any) -> Panel:
    """Last values, each with its name."""
    shown = {
        "colorMode": "value", "graphMode": "none", "justifyMode": "auto",
        "orientation": "vertical", "textMode": "value_and_name", "wideLayout": True,
        "showPercentChange": False, "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }  # fmt: skip
    return Panel(title, "stat", asks, options=shown, **more)


def table(title: str, ask: Ask, **more: Any) -> Panel:
    """Rows."""
    return Panel(title, "table", (ask,), options={"showHeader": True, "cellHeight": "sm"}, **more)


def placed(panels: Iterable[Panel]) -> list[Json]:
    """Panels from left to right, in lines as high as their highest."""
    found, x, y, highest = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > WIDTH:
            x, y, highest = 0, y + highest, 0
        found.append(panel.json(number, x, y))
        x, highest = x + panel.width, max(highest, panel.height)
    return found
