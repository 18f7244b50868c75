"""What is read because it was marked, against reading everything.

Facts are told and withdrawn in several sources, the clock goes on by steps of any length, sources
begin anew, buckets are let go. After each step what was published because of marks must be what one
would publish who reads every KPI of every cell and window.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.kpi import catalogue
from pipeline.kpi.group import Contribution
from pipeline.kpi.held import TRENDING_PERIODS, Slot
from pipeline.kpi.marks import Due
from pipeline.kpi.merge import Merge
from pipeline.kpi.panes import QUARTER_MS, PaneKey, Panes
from pipeline.kpi.plan import Plan, Reading
from pipeline.kpi.values import read
from pipeline.kpi.vectors import Wire
from schemas.exhibit import Tumbling
from schemas.exhibit_file import load_exhibit
from schemas.values import ExhibitValue, WindowRef
from tests.support.streamed import HOUR_MS, NamedFacts, random_facts
from tests.unit.kpi.hand_made import fact

DAY_MS: Final = 24 * HOUR_MS
END_MS: Final = 1_775_082_600_000
"""2026-04-01T22:30:00Z, half an hour after midnight in Berlin. Half of all facts begin in the two
hours before it, the others in the eleven days before it."""
BEGINS_MS: Final = tuple(END_MS - ago_ms for ago_ms in (0, HOUR_MS, 2 * HOUR_MS, 4 * DAY_MS))
KEPT_DAYS: Final = 5
SOURCES: Final = 3
BASELINE_DAYS: Final = 2
HOUR_BUCKET: Final = ("tumbling", "1h")

SHORT: Final = {
    "window_hours": 1, "window_days": 1, "quiet_days": 1, "days": 1, "baseline_days": BASELINE_DAYS,
    "min_n": 1,
}  # fmt: skip
GIVEN: Final = {
    "model_version_difference": {"measure": "fully_grounded", "baseline": "a", "candidate": "it's"},
}
CATALOGUE: Final = catalogue.load()
OF_EACH_KIND: Final = (
    "offered", "longest_wait", "staffed", "confidence_drift", "fcr_repeat", "max_wait",
    "wait_percentile", "forecast_wape", "queue_depth", "occupancy", "handled",
)  # fmt: skip
"""Sums, gauges, averages over time, drift, cohorts, extremes, maps and composites."""


def plan_of(names: list[str], targets: int) -> Plan:
    entries: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        definition = CATALOGUE.definitions[name]
        short = {known: SHORT[known] for known in definition.parameters if known in SHORT}
        entry: dict[str, Any] = {"kpi": name, "parameters": {**short, **GIVEN.get(name, {})}}
        if targets >> number & 1:
            entry["target"] = ">= 5"
        entries.append(entry)
    told = {
        "exhibit": "marks", "time_zone": "Europe/Berlin", "by": ["channel"],
        "where": {"direction": ["*"]},
        "windows": ["5m", "1h", "today", {"tumbling": "1h"}, {"tumbling": "day"}, "all"],
        "kpis": entries,
    }  # fmt: skip
    return Plan([load_exhibit(json.dumps(told))], CATALOGUE)


def is_looked_back_for(reading: Reading, value: ExhibitValue, floor_ms: int) -> bool:
    """Whether a value leans on buckets that were let go: it stays as it was when they were."""
    if value.window.start is None or not floor_ms:
        return False
    lengths_ms = {"1h": HOUR_MS, "day": DAY_MS + HOUR_MS}
    back_ms = 0
    if reading.entry.target is not None:
        back_ms = TRENDING_PERIODS * lengths_ms.get(value.window.size or "", 0)
    if reading.kpi.reads == "psi":
        back_ms += (BASELINE_DAYS + 1) * lengths_ms["day"]
    return instant_ms(value.window.start) - back_ms < floor_ms


def instant_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


class Center:
    """Sources that tell facts, their merge, and what was published in either way.

    Attributes:
        marked: Values by key, published because of marks.
        whole: Values by key, published by reading everything.
    """

    def __init__(self, plan: Plan, begin_ms: int, facts: NamedFacts, seed: int = 0) -> None:
        self.plan = plan
        self.clock_ms = begin_ms
        self.marked: dict[bytes, ExhibitValue] = {}
        self.whole: dict[bytes, ExhibitValue] = {}
        self.merge = Merge(plan.exhibits[0])
        self._random = random.Random(seed)  # noqa: S311  the same facts in every run
        self._facts = {name: (kind, fact) for kind, rows in facts.items() for name, fact in rows}
        self._source_of = {name: n % SOURCES for n, name in enumerate(self._facts)}
        self._panes = [Panes(plan) for _ in range(SOURCES)]
        self._added: dict[str, tuple[Contribution, ...]] = {}
        self._shares: dict[tuple[str, PaneKey], Wire] = {}
        self._told: set[str] = set()

    def tell(self, share: float) -> None:
        """Tell facts, or withdraw them if they were told; all of them for a share of 1."""
        names = {name for name in self._facts if self._random.random() < share}
        self._told ^= names

    def begin_anew(self, number: int, *, tells: bool) -> None:
        """A source forgets what it told, and tells it again or has nothing left."""
        source = str(number)
        self.merge.forget(source)
        self._shares = {key: share for key, share in self._shares.items() if key[0] != source}
        self._panes[number] = Panes(self.plan)
        own = {name for name, home in self._source_of.items() if home == number}
        self._added = {name: added for name, added in self._added.items() if name not in own}
        if not tells:
            self._told -= own

    def let_go(self) -> None:
        """Hold no buckets any more that are older than some days."""
        floor_ms = (self.clock_ms - KEPT_DAYS * DAY_MS) // QUARTER_MS * QUARTER_MS
        self.merge.let_go(floor_ms)
        for values in (self.marked, self.whole):
            for key in [key for key, value in values.items() if _begins_before(value, floor_ms)]:
                del values[key]

    def restore(self) -> None:
        """Another worker reads all shares again; what was published of them stays."""
        self.publish(moving_only=False)
        floor_ms = self.merge.floor_ms
        self.merge = Merge(self.plan.exhibits[0])
        self.merge.let_go(floor_ms)
        for (source, key), share in self._shares.items():
            self.merge.apply(source, key, share)
        self.merge.advance(self.clock_ms)

    def pass_time(self, by_ms: int) -> None:
        """Let all sources tell what they have as of a later clock."""
        self.clock_ms += by_ms
        for name, (kind, one) in self._facts.items():
            told = name in self._told
            new = self.plan.contributions(kind, one, self.clock_ms) if told else ()
            panes = self._panes[self._source_of[name]]
            panes.change(self._added.get(name, ()), new)
            self._added[name] = new
        for number, panes in enumerate(self._panes):
            for key, share in panes.drain(self.clock_ms):
                self._shares[str(number), key] = share
                self.merge.apply(str(number), key, share)
        self.merge.advance(self.clock_ms)

    def publish(self, *, moving_only: bool) -> None:
        for due in self.merge.marks.due(moving_only=moving_only):
            publish(self.merge, due, self.marked)
        for due in everything(self.merge, moving_only=moving_only):
            publish(self.merge, due, self.whole)

    def differences(self) -> list[object]:
        """Values of which the two ways do not say the same."""
        readings = {reading.entry.name: reading for reading in self.merge.plan.readings}
        found: list[object] = []
        for key in sorted({*self.marked, *self.whole}):
            one, other = self.marked.get(key), self.whole.get(key)
            value = one or other
            assert value is not None
            reading = readings[value.name]
            in_bucket = value.window.kind == "tumbling"
            # A gauge in the present bucket is read when anything in the bucket moves.
            end = value.window.end
            if in_bucket and reading.kpi.gauge and end and self.clock_ms < instant_ms(end):
                continue
            if in_bucket and is_looked_back_for(reading, value, self.merge.floor_ms):
                continue
            if content(one) != content(other):
                found.append((key, content(one), content(other)))
        return found


def _begins_before(value: ExhibitValue, floor_ms: int) -> bool:
    start = value.window.start
    return value.window.kind == "tumbling" and start is not None and instant_ms(start) < floor_ms


def publish(merge: Merge, due: Due, values: dict[bytes, ExhibitValue]) -> None:
    for key, value in read(merge, due, values.get, complete=False):
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value


def everything(merge: Merge, *, moving_only: bool) -> Iterator[Due]:
    """All readings of all cells and windows there are, without a look at marks."""
    for cell in sorted(merge.places):
        for window in merge.plan.exhibit.windows:
            if not isinstance(window, Tumbling):
                gone = not merge.is_alive(cell)
                yield Due(cell, Slot(window, None), merge.plan.readings, gone)
            elif not moving_only:
                for start_ms in sorted(merge.starts(cell, window.size)):
                    if start_ms >= merge.floor_ms:
                        slot = Slot(window, start_ms)
                        gone = not merge.has_facts(cell, slot)
                        yield Due(cell, slot, merge.plan.readings, gone)


def content(value: ExhibitValue | None) -> ExhibitValue | None:
    """What a value says, but not when; a window that moves is not published when it moves."""
    if value is None:
        return None
    moves = value.window.kind in ("sliding", "today")
    window = WindowRef(value.window.kind, value.window.size, None, None) if moves else value.window
    return replace(value, as_of="", window=window)


STEPS_MS: Final = (1_000, 1_000, 7_000, 61_000, 40 * 60_000, HOUR_MS, 26 * HOUR_MS)
KPIS: Final = st.sampled_from(OF_EACH_KIND) | st.sampled_from(sorted(CATALOGUE.definitions))


@given(data=st.data())
@settings(max_examples=100)
def test_what_is_marked_is_what_reading_everything_publishes(data):
    names = data.draw(st.lists(KPIS, min_size=1, max_size=14, unique=True))
    plan = plan_of(names, data.draw(st.integers(0, (1 << len(names)) - 1)))
    seed = data.draw(st.integers(0, 10_000))
    begin_ms = data.draw(st.sampled_from(BEGINS_MS))
    center = Center(plan, begin_ms, random_facts(seed, 3, END_MS), seed)
    center.tell(data.draw(st.sampled_from([0.5, 1])))
    for _ in range(data.draw(st.integers(3, 9))):
        match data.draw(st.integers(0, 9)):
            case 0:
                center.begin_anew(data.draw(st.integers(0, SOURCES - 1)), tells=True)
            case 1:
                center.begin_anew(data.draw(st.integers(0, SOURCES - 1)), tells=False)
            case 2:
                center.let_go()
            case 3:
                center.restore()
            case 4 | 5 | 6:
                center.tell(data.draw(st.sampled_from([0.02, 0.1, 0.5])))
        center.pass_time(data.draw(st.sampled_from(STEPS_MS)))
        moving_only = data.draw(st.integers(0, 4)) == 0
        center.publish(moving_only=moving_only)
        if not moving_only:
            assert center.differences() == []


def test_a_sliding_window_that_begins_on_another_day_is_compared_with_other_days():
    """Nothing enters or leaves the five minutes: only the days before them are others."""
    midnight_ms = END_MS - HOUR_MS // 2
    decisions = [
        (f"d{number}", fact("ai_decision", decided_ms=midnight_ms + at_ms, intent=intent))
        for number, (at_ms, intent) in enumerate(
            ((-2 * DAY_MS - HOUR_MS, "order"), (-HOUR_MS, "billing"), (60_000, "billing"))
        )
    ]
    plan = plan_of(["intent_drift"], 0)
    center = Center(plan, midnight_ms, {"ai_decision": decisions})
    center.tell(1)
    found = []
    for by_ms in (299_000, 2_000):
        center.pass_time(by_ms)
        center.publish(moving_only=False)
        assert center.differences() == []
        found += [v.value for v in center.marked.values() if v.window.size == "5m"]
    before, after = set(found[:2]), set(found[2:])
    # All decisions today are of bills; before the first day were orders, before the second bills.
    assert before != after == {0}


def test_a_gauge_leaves_a_bucket_that_ends():
    """What was offered settles an hour later, so nothing but the end itself is told of then."""
    begin_ms = END_MS // HOUR_MS * HOUR_MS
    waiting = fact(
        "queue_segment",
        entered_ms=begin_ms,
        outcome="waiting",
        direction="inbound",
        channel="voice",
    )
    plan = plan_of(["queue_depth", "offered"], 0)
    center = Center(plan, begin_ms, {"queue_segment": [("waits", waiting)]})
    center.tell(1)
    found = []
    for by_ms in (HOUR_MS - 1_000, 1_000):
        center.pass_time(by_ms)
        center.publish(moving_only=False)
        depths = [v for v in center.marked.values() if v.name == "queue_depth"]
        found.append({v.value for v in depths if (v.window.kind, v.window.size) == HOUR_BUCKET})
    assert found == [{1}, {None}]


def test_what_reaches_into_a_sliding_window_from_before_it_grows_less():
    """An hour logged in ended ten minutes ago; nothing turns, and each minute one less counts."""
    minute_ms = 60_000
    ended_ms = END_MS - 10 * minute_ms
    logged_in = fact(
        "performer_time", entered_ms=ended_ms - HOUR_MS, left_ms=ended_ms, logged_in=True,
        channel="voice",
    )  # fmt: skip
    center = Center(plan_of(["login_time"], 0), END_MS, {"performer_time": [("ann", logged_in)]})
    center.tell(1)
    found = []
    for by_ms in (minute_ms, minute_ms):
        center.pass_time(by_ms)
        center.publish(moving_only=False)
        times = [v for v in center.marked.values() if v.window.kind == "sliding"]
        found.append({v.numerator for v in times if v.window.size == "1h"})
    assert found == [{49 * minute_ms}, {48 * minute_ms}]


def test_what_began_in_what_is_let_go_and_is_told_later_reaches_into_what_is_held():
    """Two weeks logged in, of which nobody told before: each day that is held has all its hours."""
    logged_in = fact(
        "performer_time", entered_ms=END_MS - 14 * DAY_MS, logged_in=True, channel="voice"
    )
    waiting = [
        (f"q{day}", fact("queue_segment", entered_ms=END_MS - day * DAY_MS, channel="voice"))
        for day in (1, 2)
    ]
    facts = {"performer_time": [("ann", logged_in)], "queue_segment": waiting}
    center = Center(plan_of(["login_time", "offered"], 0), END_MS, facts)
    center.let_go()
    center.pass_time(1_000)
    center.tell(1)
    center.pass_time(1_000)
    center.publish(moving_only=False)
    assert center.differences() == []
    days = [v for v in center.marked.values() if v.window.size == "day" and v.name == "login_time"]
    whole = {v.window.start: v.numerator for v in days if v.state == "final"}
    # Midnight in Berlin was 23:00 UTC before the clocks went forward on 29 March, then 22:00.
    assert whole == {
        "2026-03-27T23:00:00Z": DAY_MS, "2026-03-28T23:00:00Z": 23 * HOUR_MS,
        "2026-03-29T22:00:00Z": DAY_MS, "2026-03-30T22:00:00Z": DAY_MS,
        "2026-03-31T22:00:00Z": DAY_MS,
    }  # fmt: skip
