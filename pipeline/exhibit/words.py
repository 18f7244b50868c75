"""Parts of exhibits and KPIs in words, for terminals and pages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from pipeline.kpi.catalogue import CompiledKpi
from pipeline.kpi.expression import AS_OF_PARAMETER
from pipeline.kpi.settling import settles_ms
from schemas.exhibit import Exhibit, KpiEntry, Sliding, Tumbling, Window

EVENTS: Final = {
    "queue_segment": ("queued", "accepted", "abandoned", "left_queue", "completed", "record"),
    "handling_segment": (
        "accepted", "hold", "resume", "consult", "transfer", "left", "wrapup_started",
        "wrapup_ended", "bot_started", "bot_turn", "handoff", "bot_ended", "completed", "record",
    ),
    "missed_offer": ("ringing", "declined", "accepted", "abandoned", "left_queue"),
    "interaction": ("every event of the interaction",),
    "survey": ("survey_sent", "survey_answered", "accepted", "bot_started"),
    "contact": ("every event of the customer's interactions",),
    "journey": ("every event of the customer's interactions",),
    "performer_time": ("performer_state", "plan", "every event of the contacts served"),
    "case": ("case_opened", "case_resolved", "case_reopened", "every event of its contacts"),
    "cost": ("plan", "every event of the contacts served"),
    "session": ("performer_state", "every event of the contacts served"),
}  # fmt: skip
"""Kinds of events that facts are made of; what is not here is made of the kind of its own name."""

INSTANTS: Final = {
    "arrival": "where it began",
    "event": "where what is counted happened",
    "close": "where the contact or session ended",
    "clip": "split over the windows it lies in",
    "cohort-final": "where the contact ended",
    "gauge": "now",
}
"""Attributions as a place in time."""

UNITS: Final = {
    "count": "the numerator",
    "ratio": "numerator / denominator",
    "seconds": "numerator / denominator / 1000, in seconds",
    "points": "100 * numerator / denominator, in points",
    "score": "numerator / denominator",
}
"""Units as arithmetic."""

READS: Final = {
    "age": "the clock less the earliest instant, in seconds",
    "mean_age": "the clock less the mean instant, in seconds",
    "percentile": "the percentile, read from the counts of bins",
    "psi": "population stability index against the days before",
    "least_ratio": "the lowest rate of a group over the highest",
    "covered": "the keys that have both, of those that have a denominator",
    "difference": "the rate of the candidate less that of the baseline",
    "time_average": "the numerator over the part of the window that has passed",
    "median_survival": "the median time until it happens, those still waiting included",
}
"""How sums are read that are no plain fraction."""

_MINUTE_MS: Final = 60_000
_CONDITION: Final = re.compile(r"CASE WHEN (.*) THEN (?:1 ELSE 0|TRUE ELSE FALSE) END")


def value(kpi: CompiledKpi) -> str:
    """What the value of a KPI is, as arithmetic."""
    if kpi.reads != "value":
        return READS[kpi.reads]
    if kpi.total:
        return "the numerator" + (", in seconds" if kpi.unit == "seconds" else "")
    extreme = {part.aggregate for part in kpi.parts} & {"max", "min"}
    if extreme:
        told = {"max": "the largest numerator", "min": "the smallest numerator"}[extreme.pop()]
        return told + (", in seconds" if kpi.unit == "seconds" else "")
    has_interval = kpi.unit == "ratio" and kpi.proportion and kpi.attribution != "clip"
    if kpi.micro:
        return "numerator / denominator / 10^6, since the numerator is in millionths"
    return UNITS[kpi.unit] + (", with its 95 % interval" if has_interval else "")


def events(fact: str) -> tuple[str, ...]:
    """Kinds of events that facts of a kind are made of."""
    return EVENTS.get(fact, (fact,))


def window(told: Window) -> str:
    """A window in words."""
    if isinstance(told, Sliding):
        return f"the last {told.size}"
    if isinstance(told, Tumbling):
        return "each day" if told.size == "day" else f"each {told.size}"
    return "today" if told.kind == "today" else "everything"


def population(exhibit: Exhibit) -> str:
    """Whom an exhibit counts."""
    return "; ".join(
        f"{name} {' or '.join(patterns)}" for name, patterns in exhibit.effective_where.items()
    )


def parameters(told: Mapping[str, Any]) -> str:
    """Parameters on one line."""
    return ", ".join(f"{name} {plain(value)}" for name, value in told.items())


def plain(value: object) -> str:
    """A value of a parameter as it is written in an exhibit."""
    return value if isinstance(value, str) else json.dumps(value)


def expression(text: str) -> str:
    """A compiled expression as a reader would say it: the clock is now, a condition is bare."""
    told = text.replace(AS_OF_PARAMETER, "now")
    found = _CONDITION.fullmatch(told)
    return found[1] if found and " THEN " not in found[1] else told


def duration(milliseconds: int) -> str:
    """A length of time in its largest whole unit."""
    for length, name in ((1440, "day"), (60, "hour"), (1, "minute")):
        count, rest = divmod(milliseconds, length * _MINUTE_MS)
        if not rest and count:
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{milliseconds / 1000:g} seconds"


def finality(kpi: CompiledKpi) -> str:
    """When values of a KPI are final."""
    if kpi.gauge:
        return "it holds at the clock, and a closed bucket has no value"
    late = settles_ms(kpi)
    if kpi.cohort and not late:
        return (
            "the provisional and the final value are both over all contacts that have ended; a "
            "bucket is restated by what comes later"
        )
    if kpi.cohort:
        return (
            "there are two values: provisional over all contacts that have ended, final over those "
            f"that ended at least {duration(late)} ago"
        )
    after = f" {duration(late)} after" if late else " at"
    return (
        f"a bucket is final{after} its end and restated by what comes later; windows that move "
        "with the clock stay provisional"
    )


def target(entry: KpiEntry) -> str:
    """The target of an entry, and what it takes to miss it; empty without one."""
    if entry.target is None:
        return ""
    told = entry.target.text
    if entry.target_source:
        told += f", from the {entry.target_source}"
    if entry.min_n:
        told += f"; below n = {entry.min_n} it is neither met nor missed"
    if entry.alert:
        told += (
            f"; a {entry.alert.severity} once it is missed for {entry.alert.after_minutes} minutes"
        )
    return told


RESPONSIBILITY: Final = {
    "owner": "owner",
    "kcr_task": "KCR task",
    "capability": "capability",
    "item_ref": "item",
    "intent": "must prove",
    "method": "method",
    "frequency": "reviewed",
    "equivalence_note": "equivalence",
}
"""Fields of an entry that decide nothing, by what they are called."""


def responsibility(entry: KpiEntry) -> dict[str, str]:
    """What an entry says about whose number it is and what it must prove."""
    found = {title: getattr(entry, name) for name, title in RESPONSIBILITY.items()}
    return {title: value.replace("_", " ") if title == "method" else value
            for title, value in found.items() if value}  # fmt: skip
