"""Every KPI of the catalogue over random events of a whole center, whatever happens on the way.

Contacts, working days, judgements and plans of one center are drawn together. Two runs must publish
the same: one reads them in order in one partition, the other in any order, some twice, over several
partitions. And the sums over all time must be what adding up the facts one by one gives, without
panes, shares and merge. A KPI that no drawn world gives a value is not tested, and fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import msgspec
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from pipeline.kpi import catalogue
from pipeline.kpi.catalogue import CompiledKpi, CompiledPart
from pipeline.kpi.plan import Plan
from schemas.exhibit_file import load_exhibit
from schemas.fact_records import decode_fact
from schemas.facts import FACT_KINDS, HEADER_COLUMNS, Fact, Header, columns
from schemas.interaction import InteractionEvent
from schemas.values import ExhibitValue
from tests.properties import shifts, stories, test_judgements
from tests.properties.stories import AGENTS, SPAN_SECONDS, START, Row, event
from tests.properties.test_stages import START_MS, differences, published
from tests.properties.world import World

CATALOGUE = catalogue.load()
MOST_DRAWS = 4
"""How often a set of centers is drawn until each KPI has had a value."""
HOUR = 3_600
DAY = 24 * HOUR
CLOCKS_MS = tuple(START_MS + at * 1000 for at in (SPAN_SECONDS, 6 * DAY, 12 * DAY))
SHORT = {
    "window_hours": 1, "window_days": 1, "quiet_days": 1, "days": 1, "baseline_days": 2,
    "threshold_seconds": 200, "min_n": 1, "after_hours": 1, "contacts": 2, "percent": 50,
    "low": 0.1, "high": 10,
}  # fmt: skip
"""Parameters with which something comes of two hours of events."""
GIVEN = {
    "model_version_difference": {
        "measure": "fully_grounded", "baseline": "v1", "candidate": "v2",
    },
    "short_abandons": {"short_abandon_seconds": 60},
    "journey_duration": {"quiet_days": 30},
    "open_journeys": {"quiet_days": 30},
    "open_journey_age": {"quiet_days": 30},
    "journeys_at_risk": {"quiet_days": 30, "after_hours": 1},
    "bias_ratio": {"group": "channel", "min_n": 1},
    "performers_by_state": {"state": "away"},
    "longest_in_state": {"state": "away"},
}  # fmt: skip


def _exhibit() -> str:
    entries = []
    for kpi_id, definition in CATALOGUE.definitions.items():
        short = {name: SHORT[name] for name in definition.parameters if name in SHORT}
        entries.append({"kpi": kpi_id, "parameters": {**short, **GIVEN.get(kpi_id, {})}})
    return msgspec.json.encode(
        {
            "exhibit": "everything", "where": {"direction": ["*"]}, "by": ["channel"],
            "windows": ["today", {"tumbling": "day"}, "all"],
            "kpis": entries,
        }
    ).decode()  # fmt: skip


PLAN = Plan([load_exhibit(_exhibit())], CATALOGUE)
PEOPLE = [("ann", "human"), ("bob", "human"), ("robo", "bot")]
RATES = ("performer_minute", "bot_session", "million_input_tokens", "million_output_tokens")


EMPLOYED: list[Row] = [
    {
        "kind": "plan", "at": -600, "plan": "employment", "channel": "other", "value": 1.0,
        "interaction_id": f"employed-{name}", "starts_at": START - timedelta(days=9),
        "performer_id": name, "performer_kind": kind, "kcr_task": "task",
    }
    for name, kind in PEOPLE
]  # fmt: skip
"""Whom a verification, a training or an ethics check can be of."""
ATTESTED: list[Row] = [
    {**row, "plan": plan, "interaction_id": f"{plan}-at-first"}
    for row, plan in (
        (EMPLOYED[0], "verification"), (EMPLOYED[1], "training"), (EMPLOYED[2], "ethics_check"),
    )
]  # fmt: skip
GONE: Row = {
    **EMPLOYED[0], "interaction_id": "employed-once", "performer_id": "eve",
    "activity": "voluntary", "ends_at": START - timedelta(days=8.5),
}  # fmt: skip
SCHEDULED: list[Row] = [
    {
        "kind": "plan", "at": -600, "plan": "schedule", "activity": "on_queue", "value": 1.0,
        "channel": "voice", "interaction_id": f"scheduled-{name}", "performer_id": name,
        "starts_at": START, "ends_at": START + timedelta(seconds=SPAN_SECONDS),
    }
    for name in AGENTS
]  # fmt: skip
EXPECTED: Row = {
    "kind": "plan", "at": -600, "plan": "forecast", "channel": "face_to_face", "value": 1.0,
    "interaction_id": "forecast-of-one", "starts_at": START,
    "ends_at": START + timedelta(seconds=HOUR // 2),
}  # fmt: skip
STANDING = [*EMPLOYED, *ATTESTED, GONE, *SCHEDULED, EXPECTED]
SMOOTH: list[Row] = [
    {
        "at": 60 * step, "interaction_id": "smooth", "channel": "web_chat", "customer_key": "c3",
        "intent": "order", **fields,
    }
    for step, fields in enumerate(
        (
            {"kind": "bot_started", "performer_kind": "bot", "performer_id": "robo"},
            {
                "kind": "handoff", "performer_kind": "bot", "performer_id": "robo",
                "context_ok": True,
            },
            {"kind": "queued", "queue": "help"},
            {"kind": "accepted", "performer_id": "ann"},
            {"kind": "completed", "performer_id": "ann", "resolved": True},
        )
    )
]  # fmt: skip
"""A contact that a bot hands over with its context."""
CALLED_BACK: list[Row] = [
    {
        "at": 60 * step, "interaction_id": "called-back", "channel": "face_to_face",
        "customer_key": "c4", "intent": "order", **fields,
    }
    for step, fields in enumerate(
        (
            {"kind": "queued", "queue": "help"},
            {"kind": "left_queue", "queue": "help", "reason": "callback"},
            {"kind": "accepted", "performer_id": "bob"},
            {"kind": "completed", "performer_id": "bob"},
        )
    )
]  # fmt: skip
"""The one contact that is forecast on its channel; its customer is served later, as promised."""
GIVEN_UP: list[Row] = [
    {
        "kind": kind, "at": at, "interaction_id": "given-up", "channel": "voice", "queue": "help",
        "customer_key": "c5", "intent": "order",
    }
    for kind, at in (("queued", 0), ("abandoned", 300))
]  # fmt: skip


@st.composite
def plan_items(draw: st.DrawFn) -> Row:
    """One thing planned or agreed; one in five replaces another."""
    plan = draw(
        st.sampled_from(
            ["forecast", "forecast", "required", "rate", "rate", "employment", "employment",
             "absence", "schedule", "verification", "training", "ethics_check", "enps"]
        )
    )  # fmt: skip
    longest = 0
    begins = draw(st.sampled_from([-5 * DAY, -2 * DAY, 0, HOUR // 2, HOUR]))
    if plan == "forecast":
        begins, longest = draw(st.integers(0, 3)) * HOUR // 2, HOUR // 2
    lasts = longest or draw(st.sampled_from([HOUR // 2, HOUR, 4 * HOUR, DAY]))
    told: Row = {
        "kind": "plan", "at": draw(st.integers(-600, SPAN_SECONDS)), "plan": plan,
        "channel": "other", "value": draw(st.sampled_from([None, 1.0, 1.0, 2.0, 9.5])),
        "interaction_id": f"{plan}-{draw(st.integers(0, 4))}",
        "starts_at": START + timedelta(seconds=begins),
    }  # fmt: skip
    if plan in ("forecast", "required", "absence", "schedule", "enps") or draw(st.booleans()):
        told["ends_at"] = START + timedelta(seconds=begins + lasts)
    if plan == "rate":
        told["activity"] = draw(st.sampled_from(RATES))
    elif plan not in ("forecast", "required", "enps"):
        name, kind = PEOPLE[-1] if plan == "ethics_check" else draw(st.sampled_from(PEOPLE))
        told |= {"performer_id": name, "performer_kind": kind, "kcr_task": "task"}
        told["activity"] = draw(st.sampled_from(["on_queue", "sick", "voluntary", "internal"]))
    return told


@st.composite
def judged_days(draw: st.DrawFn) -> list[Row]:
    """Decisions of a bot on three days that follow each other, a calibration, and a case."""
    verdicts = st.sampled_from(["pass", "fail"])
    told: list[Row] = [
        {
            "kind": "ai_decision", "decision_id": f"seen-{number}", "performer_id": "robo",
            "at": number % 3 * DAY, "intent": draw(st.sampled_from(["billing", "order"])),
            "confidence": draw(st.sampled_from([0.2, 0.9])),
            "model_version": f"v{1 + number // 3}", "claims": 2,
            "supported_claims": draw(st.integers(0, 2)),
            "verdict": draw(verdicts), "reference_verdict": draw(verdicts),
        }
        for number in range(6)
    ]  # fmt: skip
    told.append(
        {
            "kind": "evaluation", "evaluation_id": "compared", "sample_type": "calibration",
            "at": HOUR, "performer_id": "ann", "attributes": 4,
            "agreed_attributes": draw(st.integers(0, 5)),
        }
    )  # fmt: skip
    steps = ["case_opened", "case_resolved", *draw(st.sampled_from([(), ("case_reopened",)]))]
    told += [{"kind": kind, "case_id": "C", "at": place * HOUR} for place, kind in enumerate(steps)]
    return [{**row, "interaction_id": "k1", "channel": "voice"} for row in told]


@st.composite
def contacts(draw: st.DrawFn) -> list[InteractionEvent]:
    """Events of nine contacts, one in three of them damaged."""
    rows = [*SMOOTH, *CALLED_BACK, *GIVEN_UP]
    for number in range(9):
        told = draw(stories.contacts(f"k{number}"))
        rows += told if number % 3 else draw(stories.damaged(told))
    return [event(row, number) for number, row in enumerate(rows)]


@st.composite
def centers(draw: st.DrawFn) -> list[InteractionEvent]:
    """Events in order of time, each with an id of its own but what is told in two versions."""
    items = st.lists(plan_items(), min_size=12, max_size=16)
    told = {
        "story": draw(contacts()),
        "day": draw(shifts.days()),
        "judged": draw(test_judgements.told_events()),
        "judged again": draw(test_judgements.told_events()),
        "seen": [event(row, n) for n, row in enumerate(draw(judged_days()))],
        "plan": [event(row, n) for n, row in enumerate([*STANDING, *draw(items)])],
    }
    named = [
        one.model_copy(update={"event_id": f"{about}-{one.event_id}"})
        for about, events in told.items()
        for one in events
    ]
    return sorted(named, key=lambda one: one.occurred_at)


def facts_of(world: World) -> dict[str, list[Fact]]:
    """Facts by kind, as the compiled expressions read them."""
    found: dict[str, list[Fact]] = {kind: [] for kind in FACT_KINDS}
    for row in world.facts():
        kind = row["kind"]
        record = decode_fact(msgspec.json.encode({**row, "version": 0, "deleted": False}))
        values = [getattr(record, column.name) for column in columns(kind)]
        header = Header(*values[: len(HEADER_COLUMNS)])
        found[kind].append(FACT_KINDS[kind](header, *values[len(HEADER_COLUMNS) :]))
    return found


def summed(part: CompiledPart, facts: Sequence[Fact], as_of_ms: int) -> tuple[int | None, int]:
    """Numerator and denominator of one part over all time, by a plain loop."""
    numerators, denominator = [], 0
    for fact in facts:
        at_ms = part.time(fact, as_of_ms)
        if at_ms is None or not part.of(fact, as_of_ms):
            continue
        rate, of = part.numerator(fact, as_of_ms), part.denominator(fact, as_of_ms)
        if part.until is not None:
            until_ms = part.until(fact, as_of_ms)
            end_ms = as_of_ms if until_ms is None else min(until_ms, as_of_ms)
            length_ms = max(end_ms - at_ms, 0)
            rate, of = (rate or 0) * length_ms, of * length_ms
        if rate is not None:
            numerators.append(rate)
        denominator += of
    add = {"sum": sum, "max": max, "min": min}[part.aggregate]
    return (add(numerators) if numerators or add is sum else None), denominator


def added_up(
    kpi: CompiledKpi, facts: dict[str, list[Fact]], as_of_ms: int
) -> tuple[int | None, int] | None:
    """The same of a KPI; None where sums by name, or by interval, are read otherwise."""
    if any(p.aggregate == "map" for p in kpi.parts) or kpi.reads != "value":
        return None
    if kpi.combination is None:
        return summed(kpi.part, facts[kpi.part.fact], as_of_ms)
    if kpi.grid != "window":
        return None
    sums = tuple(summed(p, facts[p.fact], as_of_ms)[0] or 0 for p in kpi.parts)
    return kpi.combination.numerator(sums), kpi.combination.denominator(sums)


def totals(values: Sequence[ExhibitValue]) -> Iterator[ExhibitValue]:
    """Values of everything; of a cohort the reading of all that is closed."""
    for value in values:
        whole = value.window.kind == "all" and set(value.dimensions.values()) == {"*"}
        if whole and (value.attribution != "cohort-final" or value.state == "provisional"):
            yield value


def test_every_kpi_over_random_centers() -> None:
    valued: set[str] = set()
    added: set[str] = set()

    @settings(max_examples=24, database=None, derandomize=False)
    @given(data=st.data())
    def run(data: st.DataObject) -> None:
        events = data.draw(centers())
        clock_ms = data.draw(st.sampled_from(CLOCKS_MS))
        told = [e for e in events if e.occurred_at.timestamp() * 1000 <= clock_ms]
        reference = World(PLAN, 1)
        world = World(PLAN, data.draw(st.sampled_from([1, 2, 3])))
        anyhow = data.draw(st.permutations(told))
        anyhow += data.draw(st.lists(st.sampled_from(told), max_size=4))
        for center, arrivals in ((reference, told), (world, anyhow)):
            for one in arrivals:
                center.say(one)
            # Rates go round by the log, and what they price is published at the tick after it.
            for _ in range(2):
                center.run()
                center.tick(clock_ms)
            center.run()
        assert differences(published(world), published(reference)) == []
        facts = facts_of(reference)
        for value in totals(reference.values()):
            kpi = next(k for k in PLAN.exhibits[0].kpis if k.id == value.kpi)
            expected = added_up(kpi, facts, clock_ms)
            if expected is not None:
                numerator, denominator = expected
                assert (value.kpi, value.numerator or 0) == (value.kpi, numerator or 0)
                extreme = any(part.aggregate != "sum" for part in kpi.parts)
                if value.denominator is not None and not extreme:
                    assert (value.kpi, value.denominator) == (value.kpi, denominator)
                added.add(value.kpi)
        valued.update(v.kpi for v in reference.values() if v.value not in (None, 0))

    # What is drawn follows the seed and the modules that are imported beside this one.
    for drawn in range(4, 4 + MOST_DRAWS):
        seed(drawn)(run)()
        missing = set(CATALOGUE.definitions) - valued
        if not missing:
            break
    assert not missing, f"no draw gives a value to {', '.join(sorted(missing))}"
    assert len(added) > 100
