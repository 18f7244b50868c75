"""Counterexamples 12 to 19: order, lateness, keys that are learned late or change."""

from __future__ import annotations

from itertools import permutations

import pytest

from pipeline.folds.event import reduce
from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from pipeline.stages.admission import admit
from pipeline.stages.wire import LATE
from schemas.exhibit_file import load_exhibit
from schemas.topics import FACTS
from tests.counterexamples.center import (
    DAY,
    HOUR,
    MINUTE,
    START_MS,
    events,
    fraction,
    let_pass,
    of_kind,
    plan_of,
    say,
    stage,
    told,
)
from tests.properties.test_stages import differences, in_one_go, published
from tests.properties.world import World

BOT = {"performer_kind": "bot", "performer_id": "r"}
FCR = "fcr_repeat, parameters: {window_hours: 1, scope: any}"


@pytest.mark.parametrize("order", [*permutations(range(3))], ids=str)
def test_12_of_two_contents_under_one_id_and_version_the_greater_hash_wins(order):
    """Not the first and not the last to arrive; a higher record version wins over any hash."""
    contents = [reduce(one) for one in events(told("queued", at, event_id="e") for at in (1, 2, 3))]
    known, seen = [], []
    for place in order:
        admit(known, seen, [contents[place]])
    assert known == [max(contents, key=lambda one: one.content_hash)]
    assert len(known) + len(seen) == 3
    assert admit(known, seen, contents) == 3, "each of them is known"
    newer = [reduce(one) for one in events([told("queued", 9, event_id="e", record_version=1)])]
    admit(known, seen, newer)
    admit(known, seen, contents)
    assert known == newer


def test_12_what_is_told_twice_counts_once():
    plan = plan_of("transfer_rate", "handled")
    rows = [
        told("accepted", 0, performer_id="ann"),
        told("transfer", 30, performer_id="ann", transfer_kind="blind", to_performer_id="bob"),
        told("accepted", 40, performer_id="bob", via="transfer"),
        told("completed", 90, performer_id="bob"),
    ]
    world = World(plan, 1)
    say(world, *rows, *rows)
    world.run()
    say(world, *rows[::-1])
    let_pass(world, 100)
    (whole,) = [fact for fact in world.facts() if fact["kind"] == "interaction"]
    assert whole["transfers"] == 1
    assert stage(world, "lifecycle").memory.duplicates == 8
    assert world.facts() == in_one_go(plan, events(rows), START_MS + 100_000).facts()


def test_13_a_late_message_joins_two_sessions_and_the_second_is_gone():
    """Web chats part where a new start follows 24 hours of silence; a row can be deleted."""
    plan = plan_of("interactions", by="channel")
    chat = {"channel": "web_chat", "queue": "help"}
    rows = [
        told("started", 0, **chat),
        told("queued", MINUTE, **chat),
        told("started", 25 * HOUR, **chat),
        told("queued", 25 * HOUR + MINUTE, **chat),
    ]
    world = World(plan, 1)
    say(world, *rows)
    let_pass(world, 26 * HOUR)
    assert fraction(world, "interactions")[0] == 2
    second = f"k@{START_MS + 25 * HOUR * 1000}"
    assert second in {fact["fact_id"] for fact in world.facts()}
    late = told("queued", 13 * HOUR, **chat)
    say(world, late)
    let_pass(world, 26 * HOUR + 1)
    assert fraction(world, "interactions")[0] == 1
    assert not [fact for fact in world.facts() if fact["fact_id"].startswith("k@")]
    reference = in_one_go(plan, events([*rows, late]), START_MS + (26 * HOUR + 1) * 1000)
    assert differences(published(world), published(reference)) == []


def calls(name: str, at: int, **fields: object) -> list[dict[str, object]]:
    """A call that was answered at once and lasted a minute."""
    by = {"performer_id": "ann", **fields}
    return [told("accepted", at, name, **by), told("completed", at + MINUTE, name, **by)]


def repeats(world: World) -> tuple[int | None, int | None]:
    """First contacts that were not followed by another, and first contacts, in mature cohorts."""
    ((numerator, denominator),) = [
        (value.numerator, value.denominator)
        for value in world.values()
        if value.name == "fcr_repeat"
        and value.window.kind == "all"
        and value.state == "final"
        and set(value.dimensions.values()) == {"*"}
    ]
    return numerator, denominator


@pytest.mark.parametrize("partitions", [1, 3])
def test_14_a_contact_whose_customer_is_corrected_leaves_no_ghost(partitions):
    """Unknown first, then X, in truth Y: X's earlier contact must not fail for ever."""
    world = World(plan_of(FCR, by="channel"), partitions)
    say(world, *calls("k0", 0, customer_key="x"), *calls("k1", 10 * MINUTE))
    let_pass(world, 5 * HOUR, ticks=3)
    # Whether one who is not known came again cannot be said.
    assert repeats(world) == (1, 1)
    of_x = told("completed", 11 * MINUTE, "k1", performer_id="ann", customer_key="x")
    say(world, of_x | {"record_version": 1})
    let_pass(world, 6 * HOUR, ticks=3)
    assert repeats(world) == (1, 2)
    of_y = of_x | {"customer_key": "y", "record_version": 2}
    say(world, of_y)
    let_pass(world, 7 * HOUR, ticks=3)
    assert repeats(world) == (2, 2)
    owners = {
        f["interaction_id"]: f["customer_key"] for f in world.facts() if "journey" in f["kind"]
    }
    assert owners == {"k0": "x", "k1": "y"}


AGES = """
exhibit: ages
by: [queue]
windows: [{tumbling: day}, all]
kpis:
  - {kpi: offered}
  - {kpi: csat_top_box}
  - {kpi: fcr_repeat, parameters: {scope: any, window_hours: 1}}
"""
"""Surveys make its horizon 32 days."""


@pytest.fixture(scope="module")
def ages() -> Plan:
    return Plan([load_exhibit(AGES, "ages.yaml")], catalogue.load())


def answered(name: str, at: int) -> list[dict[str, object]]:
    waited = [told("queued", at, name, customer_key="c")]
    return [*waited, *calls(name, at + 10, customer_key="c")]


@pytest.mark.parametrize("anew", [False, True])
def test_15_a_survey_of_day_20_and_a_day_told_again_find_what_they_belong_to(ages, anew):
    world = World(ages, 2)
    day = [*answered("k1", 0), *answered("k2", 100)]
    say(world, *day)
    let_pass(world, DAY, ticks=3)

    def owners_fall() -> None:
        for owned in world.owned if anew else ():
            world.begin_anew(owned.stage, owned.number)

    owners_fall()
    asked = {"survey_id": "s", "question": "csat", "scale": 5, "score": 5}
    say(world, told("survey_answered", 20 * DAY, "k1", **asked))
    let_pass(world, 20 * DAY + HOUR, ticks=3)
    assert (fraction(world, "offered"), fraction(world, "csat_top_box")) == ((2, 2), (1, 1))
    # Everything is told again: once while it is known, once when it is frozen.
    for again in (25, 60):
        owners_fall()
        say(world, *day)
        let_pass(world, again * DAY, ticks=3)
        let_pass(world, again * DAY + HOUR, ticks=3)
        assert (fraction(world, "offered"), fraction(world, "csat_top_box")) == ((2, 2), (1, 1))


def test_15_what_is_frozen_and_told_again_is_a_late_record(ages):
    world = World(ages, 1)
    say(world, *answered("k1", 0))
    let_pass(world, DAY, ticks=3)
    let_pass(world, 40 * DAY, ticks=3)
    assert not [key for key in stage(world, "lifecycle").state if key.startswith(b"i")]
    say(world, *answered("k1", 0))
    let_pass(world, 41 * DAY, ticks=3)
    assert len(of_kind(world.logs[FACTS, 0], LATE)) == 3
    assert fraction(world, "offered") == (1, 1)


def test_16_what_comes_after_the_history_is_forgotten_flips_nothing(ages):
    """k1 was followed by k2; an evaluation on day 40, alone in its history, changes nothing."""
    world = World(ages, 1)
    say(world, *answered("k1", 0), *answered("k2", 10 * MINUTE))
    let_pass(world, DAY, ticks=3)
    assert repeats(world) == (1, 2)
    let_pass(world, 39 * DAY, ticks=3)
    evaluated = told(
        "evaluation", 40 * DAY, "k1", performer_id="ann", evaluation_id="v", customer_key="c"
    )
    corrected = told("completed", 70, "k1", performer_id="ann", customer_key="c")
    say(world, evaluated, corrected | {"record_version": 1, "resolved": True})
    let_pass(world, 41 * DAY, ticks=3)
    assert repeats(world) == (1, 2)


# --- 17 and 18: the clock -------------------------------------------------------------------------


def test_17_an_event_that_disproves_a_timeout_takes_it_back():
    """After an hour of silence the customer counts as gone; what he said at 0:50 arrives later."""
    plan = plan_of("bot_sessions", by="channel")
    asked = [told("bot_started", 0, **BOT), told("bot_turn", 1, user_turn=True, **BOT)]
    late = told("bot_turn", 50 * MINUTE, user_turn=True, **BOT)
    world = World(plan, 1)
    say(world, *asked)
    let_pass(world, 62 * MINUTE)
    (given_up,) = [fact for fact in world.facts() if fact["kind"] == "handling_segment"]
    assert given_up["left_ms"] == START_MS + 1000
    say(world, late)
    let_pass(world, 63 * MINUTE)
    (goes_on,) = [fact for fact in world.facts() if fact["kind"] == "handling_segment"]
    assert goes_on["left_ms"] is None
    reference = in_one_go(plan, events([*asked, late]), START_MS + 63 * MINUTE * 1000)
    assert world.facts() == reference.facts()


def test_17_the_time_of_an_event_moves_no_clock():
    plan = plan_of("queue_depth", "offered")
    world = World(plan, 1)
    say(world, told("queued", 0, "a"))
    let_pass(world, 60)
    in_2100 = 74 * 365 * DAY
    say(world, told("queued", in_2100, "b"), told("queued", 50, "c"))
    let_pass(world, 61)
    assert fraction(world, "queue_depth")[0] == 2
    assert (stage(world, "lifecycle").memory.late, stage(world, "exhibits").memory.clock_ms) == (
        {}, START_MS + 61_000,
    )  # fmt: skip
    assert [f["left_ms"] for f in world.facts() if f["kind"] == "queue_segment"] == [None] * 3


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_18_a_new_start_of_a_platform_ends_open_calls_whenever_they_are_told(place):
    """It is kept in every partition, so that calls that arrive after it end all the same."""
    plan = plan_of("queue_depth", "offered")
    waiting = [told("queued", 10 * number, f"k{number}") for number in range(3)]
    after = told("queued", 200, "later")
    world = World(plan, 3)
    for number, row in enumerate([*waiting, None]):
        if number == place:
            world.restart("story", START_MS + 100_000)
        if row is not None:
            say(world, row)
        let_pass(world, 110 + number)
    say(world, after)
    let_pass(world, 300, ticks=2)
    segments = {f["interaction_id"]: f for f in world.facts() if f["kind"] == "queue_segment"}
    assert {name: f["outcome"] for name, f in segments.items() if name != "later"} == dict.fromkeys(
        ("k0", "k1", "k2"), "ended"
    )
    assert segments["later"]["left_ms"] is None
    assert (fraction(world, "queue_depth")[0], fraction(world, "offered")[0]) == (1, 4)
