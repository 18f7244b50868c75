"""Panels of one exhibit: a KPI with n and interval, over time, by dimension, and its meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pipeline.kpi import catalogue
from pipeline.kpi.catalogue import GROUPS, CompiledKpi, Definition
from pipeline.ops.breakdowns import GOVERNANCE, WORK, Breakdown
from pipeline.ops.panels import (
    UNITS,
    Ask,
    Json,
    Panel,
    in_unit,
    leading,
    numbers,
    only_told,
    series,
    table,
    text,
)
from pipeline.ops.targets import has_interval
from schemas.exhibit import Exhibit, KpiEntry, Sliding, Target, Tumbling
from schemas.exhibit_file import load_exhibit

INTERACTIONS_UID: Final = "cxstream-interactions"
_GOOD, _BAD, _PLAIN = "green", "red", "text"


class Entry(NamedTuple):
    """A KPI of an exhibit with what the catalogue says of it."""

    chosen: KpiEntry
    kpi: CompiledKpi
    definition: Definition


def entries(exhibit: Exhibit) -> list[Entry]:
    """All KPIs of an exhibit, in its order."""
    loaded = catalogue.load()
    compiled = catalogue.check_exhibit(exhibit, loaded)
    return [
        Entry(chosen, kpi, loaded.definition(kpi.id))
        for chosen, kpi in zip(exhibit.kpis, compiled, strict=True)
    ]


def also(exhibit: Exhibit, found: Iterable[Entry]) -> list[Entry]:
    """Entries of what breakdowns show and the exhibit has not, with default parameters."""
    known = {entry.kpi.id for entry in found}
    names = [name for name in dict.fromkeys((*WORK, *GOVERNANCE)) if name not in known]
    kpis = "\n".join(f"  - {{kpi: {name}}}" for name in names)
    return entries(load_exhibit(f"exhibit: {exhibit.exhibit}\nkpis:\n{kpis}")) if names else []


def by_group(found: Iterable[Entry]) -> Iterable[tuple[str, list[Entry]]]:
    """Entries under the titles of their groups, in the catalogue's order, empty groups left out."""
    listed = list(found)
    for group, title in GROUPS.items():
        members = [entry for entry in listed if entry.kpi.group == group]
        if members:
            yield title, members


def windows(exhibit: Exhibit) -> list[str]:
    """Names of the windows that have gauges, as the label ``window`` says them."""
    return [w.size or w.kind for w in exhibit.windows if not isinstance(w, Tumbling)]


def sliding(exhibit: Exhibit) -> str:
    """The window shown at first: the longest that slides, else the first."""
    sizes = [w for w in exhibit.windows if isinstance(w, Sliding)]
    return max(sizes, key=lambda w: w.size_ms).size if sizes else windows(exhibit)[0]


def expression(exhibit: Exhibit, entry: Entry, what: str, *, split: bool = False) -> str:
    """PromQL of a number of an entry; ``split`` by the dimensions instead of the chosen ones."""
    chosen = [f'exhibit="{exhibit.exhibit}"', f'as="{entry.chosen.name}"', 'window="$window"']
    chosen += [f'{name}!="*"' if split else f'{name}="${name}"' for name in exhibit.by]
    return f"cx_exhibit_{what}{{{', '.join(chosen)}}}"


def value_panel(exhibit: Exhibit, entry: Entry, number: int) -> Panel:
    """Value, n and interval now; the state stands with the value, as in ``value (provisional)``."""
    asks = [Ask(expression(exhibit, entry, "value"), "value ({{state}})", instant=True)]
    if not entry.kpi.gauge:
        asks.append(Ask(expression(exhibit, entry, "n"), "n ({{state}})", instant=True))
    if has_interval(entry.kpi):
        asks += [
            Ask(expression(exhibit, entry, end), f"{end} 95 % ({{{{state}}}})", instant=True)
            for end in ("low", "high")
        ]
    return numbers(
        title(entry), *asks, description=meaning(entry), unit=UNITS[entry.kpi.unit], width=6,
        height=5, steps=steps(entry.chosen.target), overrides={"^n .*": in_unit("short")},
        links=links(exhibit, number),
    )  # fmt: skip


def title(entry: Entry) -> str:
    """What people call it, with the target."""
    named = entry.chosen.title or entry.definition.title
    if entry.chosen.name != entry.kpi.id:
        named = f"{named}: {entry.chosen.name}"
    target = entry.chosen.target
    return f"{named} (target {target.text})" if target is not None else named


def meaning(entry: Entry) -> str:
    """What a panel says when asked: id, parameters, when it counts, the trap."""
    given = ", ".join(f"{name} {value}" for name, value in entry.kpi.parameters.items())
    told = f"{entry.kpi.id}, version {entry.kpi.version}" + (f" ({given})" if given else "")
    return f"{told}; counted by {entry.kpi.attribution}. {entry.definition.traps}"


def links(exhibit: Exhibit, number: int) -> dict[str, str]:
    """To the rows a KPI counts, with their SQL, and to its definition beside them."""
    kept = "&".join(f"${{{name}:queryparam}}" for name in exhibit.by)
    there = f"/d/{INTERACTIONS_UID}?from=${{__from}}&to=${{__to}}&{kept}".rstrip("&")
    return {
        "Interactions behind it, with SQL": f"{there}&viewPanel={number + 1}",
        "Definition": f"{there}&viewPanel={number}",
    }


def steps(target: Target | None) -> Sequence[tuple[str, float | None]]:
    """Colours by the target; plain without one."""
    if target is None:
        return ((_PLAIN, None),)
    if target.low is None:
        return ((_GOOD, None), (_BAD, target.high))
    if target.high is None:
        return ((_BAD, None), (_GOOD, target.low))
    return ((_BAD, None), (_GOOD, target.low), (_BAD, target.high))


def over_time(exhibit: Exhibit, entry: Entry, **more: Any) -> Panel:
    """Value with its interval over time; n stands in the tooltip."""
    asks = [Ask(expression(exhibit, entry, "value"), "{{state}}")]
    if has_interval(entry.kpi):
        asks += [
            Ask(expression(exhibit, entry, end), f"{end} 95 %, {{{{state}}}}")
            for end in ("low", "high")
        ]
    return _lines(exhibit, entry, asks, ", {{state}}", split=False, **more)


def by_dimension(exhibit: Exhibit, entry: Entry, **more: Any) -> Panel:
    """Value over time, a line each combination of dimensions; n stands in the tooltip."""
    named = ", ".join(f"{{{{{name}}}}}" for name in exhibit.by) or entry.chosen.name
    split = bool(exhibit.by)
    asks = [Ask(expression(exhibit, entry, "value", split=split), f"{named}, {{{{state}}}}")]
    return _lines(exhibit, entry, asks, f", {named}, {{{{state}}}}", split=split, **more)


def _lines(
    exhibit: Exhibit, entry: Entry, asks: Sequence[Ask], named: str, *, split: bool, **more: Any
) -> Panel:
    overrides: dict[str, Sequence[Json]] = {}
    if not entry.kpi.gauge:
        asks = [*asks, Ask(expression(exhibit, entry, "n", split=split), f"n{named}")]
        overrides["^n,"] = [*in_unit("short"), *only_told()]
    return series(
        title(entry), *asks, description=meaning(entry), unit=UNITS[entry.kpi.unit],
        overrides=overrides, **more,
    )  # fmt: skip


def breakdown_panel(exhibit: Exhibit, shown: Breakdown, numbers_: Mapping[str, int]) -> Panel:
    """KPIs side by side; a cell leads to its definition and to the rows, by number of panel."""
    overrides = {
        f"^{re.escape(kpi.title)}$": [
            *in_unit(UNITS[kpi.unit]), *leading(links(exhibit, numbers_[kpi.id])),
        ]
        for kpi in shown.kpis
    }  # fmt: skip
    told = "; ".join(f"{kpi.title}: {kpi.id}, version {kpi.version}" for kpi in shown.kpis)
    return table(
        shown.title, Ask(shown.sql(exhibit), sql=True), width=24, overrides=overrides,
        description=f"Of the range in view, out of facts. {told}.",
    )  # fmt: skip


def definition_panel(entry: Entry) -> Panel:
    """The written definition."""
    definition, kpi = entry.definition, entry.kpi
    lines = [
        f"**{definition.title}** (`{kpi.id}`, version {kpi.version}): {kpi.unit}, counted by "
        f"{kpi.attribution}.",
        definition.traps,
    ]
    lines += [f"- {name}: `{value}`" for name, value in kpi.parameters.items()]
    for part in kpi.parts:
        told = {name: sql for name, sql in part.sql.items() if sql != "TRUE"}
        lines.append(f"From `{part.fact}s`:" if not part.name else f"{part.name}, `{part.fact}s`:")
        lines += [f"- {name}: `{sql}`" for name, sql in told.items()]
    return text(f"What {entry.chosen.name} means", "\n\n".join(lines), width=9, height=9)


def rows_panel(entry: Entry, sql: str) -> Panel:
    """The rows that the KPI counts in the range in view."""
    return table(
        f"What {entry.chosen.name} counted", Ask(sql, sql=True), width=15, height=9,
        links={"KPIs": "/d/cxstream-exhibit"},
    )  # fmt: skip


def variables(exhibit: Exhibit) -> list[Json]:
    """Choices of a dashboard: the window, and one value of each dimension, ``*`` for all."""
    names = windows(exhibit)
    shown = sliding(exhibit)
    found: list[Json] = [
        {
            "name": "window", "label": "Window", "type": "custom", "query": ",".join(names),
            "current": {"text": shown, "value": shown}, "multi": False, "includeAll": False,
            "options": [{"text": n, "value": n, "selected": n == shown} for n in names],
        }
    ]  # fmt: skip
    for name in exhibit.by:
        asked = f'label_values(cx_exhibit_value{{exhibit="{exhibit.exhibit}"}}, {name})'
        found.append(
            {
                "name": name, "label": name.replace("_", " ").capitalize(), "type": "query",
                "datasource": {"type": "prometheus", "uid": "cxstream-prometheus"},
                "query": {"query": asked, "refId": "A"}, "refresh": 2,
                "sort": 1, "multi": False, "includeAll": False, "options": [],
                "current": {"text": "*", "value": "*"},
            }
        )  # fmt: skip
    return found
