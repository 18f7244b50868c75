"""Counterexamples 1 to 11: what a crash, a replay or an upgrade in the wrong moment would break."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import permutations

import pytest
from msgspec.structs import replace

from pipeline.folds import interaction
from pipeline.folds.event import reduce
from pipeline.kpi.ledger import Entry, digest_of, settle
from pipeline.kpi.panes import Panes
from pipeline.microbatch import BatchApp, Broker, Stage
from pipeline.stages.journeys import decode_state
from pipeline.stages.lifecycle import decode_state as decode_lifecycle
from pipeline.stages.lifecycle import encode_state as encode_lifecycle
from pipeline.stages.timers import Timers
from pipeline.stages.wire import control_kind
from schemas.topics import FACTS, INTERACTIONS
from tests.counterexamples.center import (
    HOUR,
    MINUTE,
    START_MS,
    Torn,
    buckets,
    events,
    fraction,
    let_pass,
    plan_of,
    say,
    shares,
    stage,
    told,
)
from tests.properties.stories import START
from tests.properties.test_stages import differences, in_one_go, published
from tests.properties.world import Row, World, newest_facts


def asked_a_bot(at: int, name: str, **fields: object) -> list[dict[str, object]]:
    """A customer who asks a bot something, and is heard of no more."""
    bot = {"performer_kind": "bot", "performer_id": "r", **fields}
    return [
        told("bot_started", at, name, **bot),
        told("bot_turn", at + 1, name, user_turn=True, **bot),
    ]


LATE_START = [
    told("queued", 62 * MINUTE, "a"),
    told("queued", 63 * MINUTE, "b"),
    told("accepted", 64 * MINUTE, "b", performer_id="ann"),
    # What comes last says that "a" began before ten o'clock.
    told("queued", 58 * MINUTE, "a", event_id="a-queued-3720", record_version=1),
    told("accepted", 65 * MINUTE, "a", performer_id="ann"),
]


@pytest.mark.parametrize("outputs", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("cut", range(1, len(LATE_START) + 2))
def test_1_a_batch_cut_elsewhere_after_a_crash_moves_nothing_twice(cut, outputs):
    """Contributions are taken back as stored, and shares are whole sums, not differences."""
    plan = plan_of("offered", "asa", "interactions")
    world = Torn(plan, 1)
    say(world, *LATE_START[:3])
    world.tick(START_MS + 66 * MINUTE * 1000)
    say(world, *LATE_START[3:])
    owned = stage(world, "lifecycle")
    world.tear(owned, cut, outputs)
    for size in (2, 9):
        if world.lag(owned):
            world.batch(owned, min(size, world.lag(owned)))
    let_pass(world, 67 * MINUTE, ticks=2)
    # "a" waited from 9:58, "b" from 10:03: one each in its half hour.
    assert buckets(world, "offered") == {
        "2026-03-02T09:30:00Z": (1, 1), "2026-03-02T10:00:00Z": (1, 1),
    }  # fmt: skip
    # 65 - 58 and 64 - 63 minutes.
    assert fraction(world, "asa") == (480_000, 2)


@pytest.mark.parametrize("torn", [1, 2, 3, 4])
def test_3_what_a_decision_reads_is_one_record(torn):
    """Two contacts of one customer: no state in which one is durable and the other is not."""
    plan = plan_of("fcr_repeat, parameters: {window_hours: 1, scope: any}", by="channel")
    rows = [
        told(kind, at, name, performer_id="ann", customer_key="c")
        for name, start in (("k1", 0), ("k2", 10 * MINUTE))
        for kind, at in (("accepted", start), ("completed", start + MINUTE))
    ]
    world = Torn(plan, 1)
    for row in rows:
        say(world, row)
        let_pass(world, 15 * MINUTE)
        owned = stage(world, "journeys")
        owned.position = max(owned.position - torn, 0)
        world.heir(owned)
    say(world, *rows)
    world.tear(stage(world, "lifecycle"), len(rows))
    let_pass(world, 10 * HOUR, ticks=2)
    state = stage(world, "journeys").state
    (key,) = [key for key in state if not key.startswith(b"\0")]
    assert set(decode_state(state[key]).contacts) == {"k1", "k2"}
    # k1 was followed by k2 within the hour, k2 by nothing.
    assert [
        (value.numerator, value.denominator)
        for value in world.values()
        if value.window.kind == "all" and value.dimensions == {"channel": "*"}
        and value.state == "final"
    ] == [(1, 2)]  # fmt: skip
    assert min(min(share.vector) for _, _, share in shares(world)) >= 0


def test_4_timers_fire_by_moment_and_key_whatever_was_set_first():
    timers, others = Timers(), Timers()
    for key, due_ms in ((b"a", 500), (b"b", 500), (b"c", 400), (b"d", 501)):
        timers.set(key, due_ms)
    for key, due_ms in ((b"d", 501), (b"c", 900), (b"b", 500), (b"a", 500), (b"c", 400)):
        others.set(key, due_ms)
    assert timers.pop_due(500) == others.pop_due(500) == [b"c", b"a", b"b"]
    assert timers.pop_due(501) == others.pop_due(501) == [b"d"]


def test_4_a_restored_partition_fires_what_is_due_in_the_same_order():
    plan = plan_of("bot_sessions", by="channel")
    bots = [row for name in "dcab" for row in asked_a_bot(0, name)]

    def facts(*, backwards: bool) -> list[tuple[str, int]]:
        world = Torn(plan, 1)
        say(world, *bots)
        let_pass(world, 2)
        owned, before = stage(world, "lifecycle"), len(world.logs[FACTS, 0])
        world.tick(START_MS + 2 * HOUR * 1000)
        if backwards:
            # The tick was read, two facts got out, and whoever restores finds another order.
            world.tear(owned, 1, outputs=2)
            world.heir(owned, backwards=True)
        world.batch(owned, 1)
        said = [json.loads(r.value or b"") for r in world.logs[FACTS, 0]]
        return [(fact["fact_id"], fact["version"]) for fact in said][before:]

    there, back = facts(backwards=False), facts(backwards=True)
    assert len(there) == 8
    assert back == there[:2] + there
    assert [name for name, _ in there[::2]] == sorted(name for name, _ in there[::2])


def test_5_a_stage_with_state_reads_one_log():
    app = BatchApp("group", Broker("memory:1"))
    with pytest.raises(ValueError, match="a stage with a changelog reads one topic"):
        Stage(app, "two", topics=("events", "ticks"), changelog="two.changelog")


@pytest.mark.parametrize("cut", range(1, 5))
def test_5_ticks_lie_in_the_log_they_time(cut):
    """Whether an event comes before a tick is a matter of the log, not of who reads it when."""
    plan = plan_of("bot_sessions", by="channel")
    world = Torn(plan, 1)
    bot = {"performer_kind": "bot", "performer_id": "r"}
    say(world, *asked_a_bot(0, "k"))
    world.tick(START_MS + 61 * MINUTE * 1000)
    say(world, told("bot_turn", 50 * MINUTE, user_turn=True, **bot))
    owned = stage(world, "lifecycle")
    assert (owned.topic, control_kind(world.logs[INTERACTIONS, 0][2].headers)) == (
        INTERACTIONS, b"tick",
    )  # fmt: skip
    world.tear(owned, cut)
    world.run()
    let_pass(world, 62 * MINUTE)
    (session,) = [fact for fact in world.facts() if fact["kind"] == "handling_segment"]
    assert session["left_ms"] is None


def test_6_shares_of_two_sources_wait_for_each_other_and_none_is_taken_for_known():
    """One position a pane would skip what a source with a smaller one says of it."""
    plan = plan_of("offered")
    world = World(plan, 2)
    say(world, *(told("queued", number, f"k{number}") for number in range(8)))
    first, second = stage(world, "lifecycle", 0), stage(world, "lifecycle", 1)
    assert world.lag(first)
    assert world.lag(second)
    # The second source is at its hundredth tick and far in the partials before the first begins.
    for tick in range(100):
        world.tick(START_MS + (10 + tick) * 1000)
        while world.lag(second):
            world.batch(second, 1)
    while waiting := [owned for owned in world.waiting() if owned is not first]:
        for owned in waiting:
            world.batch(owned, world.lag(owned))
    assert values_of_offered(world) == []
    world.run()
    assert values_of_offered(world) == [(8, 8)]
    pane = {key for source, key, _ in shares(world) if source == "lifecycle/0" and key.grain == "a"}
    assert pane == {k for s, k, _ in shares(world) if s == "lifecycle/1" and k.grain == "a"}


def values_of_offered(world: World) -> list[tuple[object, object]]:
    return [
        (value.numerator, value.denominator)
        for value in world.values()
        if value.window.kind == "all" and value.dimensions == {"queue": "*"} and value.denominator
    ]


# --- 10: versions ---------------------------------------------------------------------------------

SESSIONS = [asked_a_bot(at, "chat", channel="web_chat") for at in (0, 5 * HOUR, 10 * HOUR)]
"""One conversation that a platform never ends: three sessions, each given up after an hour."""


def test_10_logs_in_any_order_and_cut_make_one_table():
    plan = plan_of("offered")
    table, full = [], newest_facts(in_one_go(plan, events(LATE_START)).logs[FACTS, 0])
    assert len(full) > 3
    for order in permutations(LATE_START[:1] + LATE_START[3:]):
        for size in (1, 2, 3):
            world = World(plan, 1)
            say(world, *order, *LATE_START[1:3])
            owned = stage(world, "lifecycle")
            while world.lag(owned):
                world.batch(owned, min(size, world.lag(owned)))
            world.run()
            table += world.logs[FACTS, 0]
            assert newest_facts(table) == full


@pytest.mark.parametrize("size", [1, 2, 9])
def test_10_a_log_made_anew_takes_nothing_back_that_tables_hold(size):
    """The same events in a new log, from offset 0: at no moment does the table go backwards."""
    plan = plan_of("offered", "bot_sessions")
    rows = [*LATE_START, *SESSIONS[0]]
    old, new = World(plan, 1), World(plan, 1)
    for world in (old, new):
        say(world, *rows)
        world.tick(START_MS + 3 * HOUR * 1000)
    old.run()
    owned = stage(new, "lifecycle")
    while new.lag(owned):
        new.batch(owned, min(size, new.lag(owned)))
    table = [*old.logs[FACTS, 0]]
    full = newest_facts(table)
    for record in new.logs[FACTS, 0]:
        table.append(record)
        assert newest_facts(table) == full


def test_10_what_time_changes_after_a_log_was_made_anew_is_stored():
    """Timers that fired one after another before count as much as those that fire at once."""
    plan = plan_of("bot_sessions", by="channel")
    old, new = World(plan, 1), World(plan, 1)
    for session in SESSIONS:
        say(old, *session)
        let_pass(old, session[-1]["at"] + 1)
        if session is not SESSIONS[-1]:
            let_pass(old, session[-1]["at"] + 2 * HOUR)
    # The process ended with the third session open; the next one reads everything at once.
    say(new, *(row for session in SESSIONS for row in session))
    let_pass(new, 10 * HOUR + 1)
    let_pass(new, 12 * HOUR)
    table = newest_facts([*old.logs[FACTS, 0], *new.logs[FACTS, 0]])
    sessions = [fact for fact in table if fact["kind"] == "handling_segment"]
    assert [session["left_ms"] is not None for session in sessions] == [True, True, True]


def test_10_so_is_what_a_schedule_changes():
    """Working time is cut at each edge of a schedule as the clock passes it."""
    plan = plan_of("login_time", by="site")
    ann = {"performer_id": "ann", "queue": ""}
    rows = [told("performer_state", 0, "ann", state="available", **ann)]
    for number, (activity, begin, end) in enumerate(
        (("on_queue", 0, 90), ("break", 20, 25), ("training", 40, 45), ("break", 60, 65))
    ):
        rows.append(
            told(
                "plan", number - 100, f"entry{number}", plan="schedule", value=1.0,
                activity=activity, starts_at=START + timedelta(minutes=begin),
                ends_at=START + timedelta(minutes=end), **ann,
            )
        )  # fmt: skip
    old, new = World(plan, 1), World(plan, 1)
    say(old, *rows)
    for minutes in (1, 21, 26, 41, 46, 61):
        let_pass(old, minutes * MINUTE, ticks=2)
    # The process ended in the second break; what reads it all again comes to its end.
    say(new, *rows)
    for minutes in (62, 70):
        let_pass(new, minutes * MINUTE, ticks=2)
    table = newest_facts([*old.logs[FACTS, 0], *new.logs[FACTS, 0]])
    whole = World(plan, 1)
    say(whole, *rows)
    let_pass(whole, 70 * MINUTE + 1, ticks=1)
    assert table == newest_facts(whole.logs[FACTS, 0])
    assert len([fact for fact in table if fact["kind"] == "performer_time"]) == 7


def test_10_the_last_word_of_a_log_made_anew_holds():
    """What the old log had told and taken back is in no event: its versions went higher."""
    plan = plan_of("login_time", by="site")
    ann = {"performer_id": "ann", "queue": ""}
    states = [
        told("performer_state", 0, "ann", state="available", **ann),
        told("performer_state", 60 * MINUTE, "ann", state="offline", **ann),
    ]
    calls = [
        told(kind, (10 * number + minutes) * MINUTE, f"k{number}", performer_id=performer, **fields)
        for performer, fields in (("ann", {}), ("bob", {"record_version": 1}))
        for number in range(3)
        for kind, minutes in (("accepted", 0), ("completed", 5))
    ]
    away = told("performer_state", 20 * MINUTE, "ann", state="away", **ann)

    def table_and_log(generation: int) -> tuple[list[Row], list[Row]]:
        old, new = World(plan, 1), World(plan, 1)
        for row in (*states, *calls):
            say(old, row)
            old.run()
        let_pass(old, 70 * MINUTE, ticks=2)
        # ClickHouse keeps the last word on each event, and feeds that again.
        new.generation(generation)
        say(new, *states, *calls[len(calls) // 2 :])
        let_pass(new, 71 * MINUTE, ticks=2)
        say(new, away)
        let_pass(new, 72 * MINUTE, ticks=2)
        said = new.logs[FACTS, 0]
        return newest_facts([*old.logs[FACTS, 0], *said]), newest_facts(said)

    table, log = table_and_log(1)
    assert table == log
    # Available for 20 minutes, then away until minute 60; bob had the three calls.
    spans = [
        ((fact["entered_ms"] - START_MS) // 60_000, (fact["left_ms"] - START_MS) // 60_000)
        for fact in table
        if fact["kind"] == "performer_state" and fact["left_ms"] is not None
    ]
    assert sorted(spans) == [(0, 20), (20, 60)]
    sessions = [fact["performer_id"] for fact in table if fact["kind"] == "session"]
    assert sessions == ["bob"] * 3
    table, log = table_and_log(0)
    assert table != log


# --- 11: upgrades ---------------------------------------------------------------------------------


def test_11_what_another_version_added_is_taken_back_as_it_was_added():
    plan = plan_of("aht")
    small = [
        reduce(one)
        for one in events(
            [
                told("accepted", 0, performer_id="ann"),
                told("hold", 60, performer_id="ann"),
                told("resume", 90, performer_id="ann"),
                told("completed", 200, performer_id="ann"),
            ]
        )
    ]
    rows = interaction.fold("k", small, START_MS + HOUR * 1000).rows
    as_of_ms = START_MS + HOUR * 1000
    ledger, old = {}, []
    for row in rows:
        # The old version counted a hold as 7 ms longer.
        counted = tuple(
            replace(one, vector=(one.vector[0], one.vector[1] + 7, *one.vector[2:]))
            for one in plan.contributions(row.kind, row.fact, as_of_ms)
        )
        ledger[row.fact_id] = Entry(row.kind, digest_of(row.fact), counted)
        old += counted
    assert old
    panes = Panes(plan)
    panes.change((), old)
    settle(ledger, rows, plan, panes, as_of_ms, as_of_ms, recount=True)
    fresh = Panes(plan)
    settle({}, rows, plan, fresh, as_of_ms, as_of_ms)
    assert panes.drain(as_of_ms) == fresh.drain(as_of_ms) != []


def test_11_state_of_an_older_version_is_counted_by_the_new_rules_once():
    plan = plan_of("aht", "offered")
    rows = [
        told("queued", 0),
        told("accepted", 10, performer_id="ann"),
        told("completed", 200, performer_id="ann"),
    ]
    world = Torn(plan, 1)
    say(world, *rows)
    let_pass(world, 300)
    owned = stage(world, "lifecycle")
    for key, stored in list(owned.state.items()):
        if key.startswith(b"i"):
            state = decode_lifecycle(stored)
            state.counted_by = 1
            state.ledger = {
                name: Entry(
                    entry.kind,
                    entry.digest,
                    tuple(replace(one, time_ms=one.time_ms + 7) for one in entry.contributions),
                )
                for name, entry in state.ledger.items()
            }
            owned.state[key] = encode_lifecycle(state)
    world.heir(owned)
    let_pass(world, 400, ticks=3)
    reference = in_one_go(plan, events(rows), START_MS + 402_000)
    assert differences(published(world), published(reference)) == []
