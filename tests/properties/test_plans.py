"""Random plans and work, in any order and cut, against sums written down a second time.

The reference takes the newest word on each item and adds up by plain loops: no panes, no turns, no
ledgers. What is compared is what was published on the way, by ticks alone: no tick asks for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from schemas.exhibit_file import load_exhibit
from schemas.interaction import EVENT_ADAPTER, InteractionEvent
from tests.properties.stories import START
from tests.properties.world import World

MINUTE = 60
HALF_HOUR = 30 * MINUTE
HOUR = 60 * MINUTE
START_MS = round(START.timestamp() * 1000)
SPAN = 3 * HOUR

EXHIBIT = """
exhibit: plans
time_zone: UTC
windows: [1h, today, {tumbling: 1h}, all]
kpis:
  - {kpi: forecast_wape, as: wape}
  - {kpi: forecast_mape, as: mape}
  - {kpi: forecast_bias, as: bias}
  - {kpi: forecast_intervals_within, as: within, parameters: {percent: 50}}
  - {kpi: interval_staffing_accuracy, as: staffing, parameters: {low: 0.5, high: 2}}
  - {kpi: cost_per_contact, as: cost}
  - {kpi: attrition_rate, as: attrition}
  - {kpi: verification_currency, as: verified}
"""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan([load_exhibit(EXHIBIT, "plans.yaml")], catalogue.load())


@dataclass
class Told:
    """What happened, in seconds after the start, and the events that tell it."""

    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrivals: list[int] = field(default_factory=list)
    states: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    stints: list[tuple[int, int, str]] = field(default_factory=list)
    events: list[InteractionEvent] = field(default_factory=list)

    def say(self, kind: str, at: int, key: str, **fields: Any) -> None:
        told = {
            "event_id": f"e{len(self.events)}",
            "kind": kind,
            "source": "test",
            "occurred_at": START + timedelta(seconds=at),
            "interaction_id": key,
            "channel": "voice",
            **fields,
        }
        self.events.append(EVENT_ADAPTER.validate_python(told))

    def item(self, at: int, key: str, **fields: Any) -> None:
        """A plan item; ``starts`` and ``ends`` are seconds, the newest replaces the others."""
        newest = self.items.get(key)
        if newest is None or at >= newest["at"]:
            self.items[key] = {"at": at, "key": key, **fields}
        times = {
            f"{name}_at": START + timedelta(seconds=at_)
            for name in ("starts", "ends")
            if (at_ := fields.pop(name)) is not None
        }
        fields = {name: value for name, value in fields.items() if value is not None}
        self.say("plan", at, key, **fields, **times)

    def standing(self, kind: str) -> Iterator[dict[str, Any]]:
        for item in self.items.values():
            if item["plan"] == kind and item["value"] is not None:
                yield item


@st.composite
def worlds(draw: st.DrawFn) -> Told:
    """Forecasts, required staff, rates, employments and verifications; arrivals, states, work."""
    told = Told()
    times = st.integers(0, SPAN // MINUTE).map(lambda minutes: minutes * MINUTE)
    slots = st.integers(0, SPAN // HALF_HOUR - 1).map(lambda slot: slot * HALF_HOUR)
    values = st.sampled_from([None, 0, 1, 2, 2.5, 4])

    def newer() -> int:
        """Items are told one after the other, so that none is as old as another."""
        return len(told.events) - 10_000

    for number in range(draw(st.integers(0, 8))):
        start = draw(slots) + draw(st.sampled_from([0, 15 * MINUTE]))
        told.item(
            newer(), f"f{number % 5}", plan="forecast", value=draw(values), starts=start,
            ends=start + draw(st.sampled_from([15 * MINUTE, HALF_HOUR, HOUR])),
        )  # fmt: skip
    for number in range(draw(st.integers(0, 4))):
        start = draw(slots)
        length = draw(st.sampled_from([HALF_HOUR, HOUR, 2 * HOUR]))
        told.item(
            newer(), f"r{number % 3}", plan="required", value=draw(values), starts=start,
            ends=start + length,
        )  # fmt: skip
    for number in range(draw(st.integers(0, 5))):
        ends = draw(st.sampled_from([None, None, HOUR, 2 * HOUR]))
        told.item(
            newer(), f"rate{number % 3}", plan="rate", activity="performer_minute",
            value=draw(values), starts=draw(st.sampled_from([-HOUR, HALF_HOUR])), ends=ends,
            vendor=draw(st.sampled_from([None, "v"])),
            channel=draw(st.sampled_from(["other", "voice"])),
        )  # fmt: skip
    for number in range(draw(st.integers(0, 8))):
        start = draw(st.sampled_from([-HOUR, 0, HOUR]))
        told.item(
            newer(), f"p{number % 6}", plan=draw(st.sampled_from(["employment", "verification"])),
            value=draw(st.sampled_from([None, 1])), starts=start,
            ends=draw(st.sampled_from([None, start + HALF_HOUR, 2 * HOUR])),
            performer_id=draw(st.sampled_from(["ann", "bob"])), kcr_task="task",
            activity=draw(st.sampled_from(["voluntary", "internal"])),
        )  # fmt: skip
    for number in range(draw(st.integers(0, 12))):
        told.arrivals.append(draw(times))
        told.say("queued", told.arrivals[-1], f"c{number}", queue="sales")
    for performer in ("ann", "bob"):
        moments = sorted(draw(st.lists(times, max_size=4, unique=True)))
        chosen = [draw(st.sampled_from(["available", "busy", "away"])) for _ in moments]
        told.states[performer] = list(zip(moments, chosen, strict=True))
        for at, state in told.states[performer]:
            told.say("performer_state", at, performer, performer_id=performer, state=state)
    for number in range(draw(st.integers(0, 4))):
        at = draw(times)
        end = at + draw(st.integers(1, 700))
        vendor = draw(st.sampled_from(["", "v"]))
        told.stints.append((at, end, vendor))
        told.say("accepted", at, f"s{number}", performer_id="ann", vendor=vendor)
        told.say("completed", end, f"s{number}", performer_id="ann", vendor=vendor)
    return told


# --- the reference ------------------------------------------------------------------------------


def wanted(told: Told, now: int, start: int | None, end: int | None) -> dict[str, tuple[int, int]]:
    """Numerators and denominators over a window, None where it has no bound."""
    begin, until = -20 * HOUR if start is None else start, now if end is None else min(end, now)
    first = -(-begin // HALF_HOUR) * HALF_HOUR
    slots = range(first, until - HALF_HOUR + 1, HALF_HOUR)
    found = dict.fromkeys(("wape", "mape", "bias", "within", "staffing"), (0, 0))

    def count(name: str, numerator: int, denominator: int) -> None:
        found[name] = (found[name][0] + numerator, found[name][1] + denominator)

    for slot in slots:
        forecasts = [
            round(f["value"] * 1_000_000)
            for f in told.standing("forecast")
            if slot <= f["starts"] < slot + HALF_HOUR and f["ends"] - f["starts"] <= HALF_HOUR
        ]
        if forecasts:
            actual = 1_000_000 * sum(slot <= at < slot + HALF_HOUR for at in told.arrivals)
            error = sum(forecasts) - actual
            count("wape", abs(error), actual)
            count("bias", error, actual)
            count("within", int(abs(error) * 100 <= actual * 50), 1)
            if actual:
                count("mape", round(abs(error) * 1_000_000 / actual), 1_000_000)
        required = sum(
            round(r["value"] * 1000) * overlap(r["starts"], r["ends"], slot, slot + HALF_HOUR)
            for r in told.standing("required")
        )
        if required:
            staffed = 1000 * sum(
                overlap(since, left, slot, slot + HALF_HOUR) for since, left in shifts(told, now)
            )
            count("staffing", int(required <= 2 * staffed and staffed <= 2 * required), 1)
    found["cost"] = cost(told, begin, 2**60 if end is None else end)
    people = list(told.standing("employment"))
    left = sum(
        item["activity"] == "voluntary" and item["ends"] is not None
        and begin <= item["ends"] <= now and (end is None or item["ends"] < end)
        for item in people
    )  # fmt: skip
    employed = sum(
        overlap(item["starts"], now if item["ends"] is None else item["ends"], begin, until)
        for item in people
    )
    found["attrition"] = (left * 365 * 24 * HOUR * 1000, employed * 1000)
    active = {item["performer_id"] for item in people if in_force(item, now)}
    verified = {v["performer_id"] for v in told.standing("verification") if in_force(v, now)}
    found["verified"] = (len(active & verified), len(active))
    return found


def overlap(start: int, end: int, begin: int, until: int) -> int:
    return max(0, min(end, until) - max(start, begin))


def in_force(item: dict[str, Any], now: int) -> bool:
    return item["starts"] <= now and (item["ends"] is None or now < item["ends"])


def shifts(told: Told, now: int) -> Iterator[tuple[int, int]]:
    for states in told.states.values():
        ends = [*(at for at, _ in states[1:]), now][: len(states)]
        for (at, state), end in zip(states, ends, strict=True):
            if state != "away":
                yield at, end


def cost(told: Told, begin: int, until: int) -> tuple[int, int]:
    total = contacts = 0
    for at, end, vendor in told.stints:
        if not begin <= end < until:
            continue
        contacts += 1
        fitting = [
            (bool(rate["vendor"]) + (rate["channel"] == "voice"), rate["starts"], rate["key"], rate)
            for rate in told.standing("rate")
            if in_force(rate, at) and rate["vendor"] in (None, vendor)
        ]
        if fitting:
            micro = round(max(fitting, key=lambda one: one[:3])[3]["value"] * 1_000_000)
            total += (2 * (end - at) * micro + MINUTE) // (2 * MINUTE)
    return total, contacts


# --- the comparison -----------------------------------------------------------------------------


@given(
    told=worlds(), data=st.data(), partitions=st.integers(1, 3), crash_in=st.sampled_from([0, 4])
)
def test_published_values_are_those_of_plain_sums(plan, told, data, partitions, crash_in):
    world = World(plan, partitions)
    last = SPAN + 15 * MINUTE
    clocks = sorted(data.draw(st.lists(st.integers(0, last), max_size=6)))
    now = last + data.draw(st.sampled_from([0, 1, 7 * MINUTE, HALF_HOUR, HOUR]))

    def choose(count: int) -> int:
        return data.draw(st.integers(0, count - 1))

    order = data.draw(st.permutations(told.events))
    cuts = sorted(data.draw(st.integers(0, len(order))) for _ in clocks)
    begin = 0
    for clock, cut in zip(clocks, cuts, strict=True):
        for event in order[begin:cut]:
            world.say(event)
        begin = cut
        world.tick(START_MS + clock * 1000)
    for event in order[begin:]:
        world.say(event)
    world.run_anyhow(choose, crash_in)
    for clock in (now, now + 1, now + 2):
        world.tick(START_MS + clock * 1000)
        world.run_anyhow(choose, 0)
    now += 2
    published = world.values()
    assert {value.window.kind for value in published} >= {"sliding", "all", "today"}
    for value in published:
        match value.window.kind, value.window.start:
            case "sliding", _:
                start, end = now - HOUR, now
            case "today", _:
                start, end = -9 * HOUR, 15 * HOUR
            case "tumbling", str(text):
                start = seconds(text)
                end = start + HOUR
            case _:
                start, end = None, None
        if value.name == "verified" and value.window.kind == "tumbling":
            continue
        expected = wanted(told, now, start, end)[value.name]
        got = (value.numerator, value.denominator)
        assert got == expected, (value.name, value.window, now)


def seconds(text: str) -> int:
    return round((datetime.fromisoformat(text) - START).total_seconds())


def test_the_clock_alone_lets_an_interval_count_and_leave():
    """Nothing is open and nothing arrives: only the end of the interval changes the values."""
    exhibit = "\n".join(EXHIBIT.splitlines()[:5]) + "\n  - {kpi: forecast_wape, as: wape}\n"
    world = World(Plan([load_exhibit(exhibit)], catalogue.load()), 2)
    told = Told()
    told.item(-HOUR, "f", plan="forecast", value=3, starts=0, ends=HALF_HOUR)
    told.say("queued", 5 * MINUTE, "c", queue="sales")
    for event in told.events:
        world.say(event)

    def errors(at: int) -> dict[str, tuple[int | None, int | None]]:
        world.tick(START_MS + at * 1000)
        world.run()
        return {v.window.kind: (v.numerator, v.denominator) for v in world.values()}

    assert set(errors(HALF_HOUR - 1).values()) == {(0, 0)}
    # 3 were forecast and 1 came.
    assert errors(HALF_HOUR) == dict.fromkeys(
        ("sliding", "today", "tumbling", "all"), (2_000_000, 1_000_000)
    )
    assert errors(HOUR)["sliding"] == (2_000_000, 1_000_000)
    assert errors(HOUR + 1) == {
        "sliding": (0, 0), "today": (2_000_000, 1_000_000),
        "tumbling": (2_000_000, 1_000_000), "all": (2_000_000, 1_000_000),
    }  # fmt: skip
