"""Counterexamples 20 to 27: panes that are gone, partitions that are missing, gauges, counters."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from pipeline import metrics
from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from pipeline.stages.clock import AlignedClock
from pipeline.stages.wire import Tick
from schemas.exhibit_file import load_exhibit
from sinks.prometheus import ExhibitCollector
from tests.counterexamples.center import (
    DAY,
    MINUTE,
    START_MS,
    fraction,
    let_pass,
    plan_of,
    say,
    shares,
    stage,
    told,
    values,
)
from tests.properties.ages import EXHIBIT
from tests.properties.test_horizon import play
from tests.properties.world import World


def test_20_no_share_of_a_pane_that_is_gone_is_published():
    """A correction of day 40 to a half hour let go on day 32: never a share of -1."""
    ages = Plan([load_exhibit(EXHIBIT, "ages.yaml")], catalogue.load())
    world = play(ages, 2, until=45)
    offered = {
        group.key
        for exhibit in ages.exhibits
        for group in exhibit.groups
        if group.shape == "sum" and not group.gauge
    }
    found = [share.vector for _, key, share in shares(world) if key.group in offered]
    assert len(found) > 20
    assert min(min(vector) for vector in found) >= 0
    # On day 33 all four calls are older than the horizon, and their half hour is told no more.
    late = [
        key
        for _, key, share in shares(world)
        if key.grain == "q" and share.tick_ms > START_MS + 33 * DAY * 1000
    ]
    assert [key for key in late if key.number * 900_000 < START_MS + DAY * 1000] == []


def test_23_values_wait_for_the_partition_that_says_nothing():
    """Its queue is not empty because its worker is away."""
    world = World(plan_of("queue_depth", "offered"), 2)
    say(world, *(told("queued", number, f"k{number}") for number in range(10)))
    let_pass(world, 60)
    assert fraction(world, "queue_depth")[0] == 10
    shown = stage(world, "exhibits", 0).memory.clock_ms, stage(world, "exhibits", 1).memory.clock_ms
    silent = stage(world, "lifecycle", 1)
    say(world, *(told("abandoned", 70, f"k{number}") for number in range(10)))
    world.tick(START_MS + 80_000)
    while waiting := [owned for owned in world.waiting() if owned is not silent]:
        for owned in waiting:
            world.batch(owned, world.lag(owned))
    # Half of them have left, and that is no truth of any moment.
    assert fraction(world, "queue_depth")[0] == 10
    assert shown == (
        stage(world, "exhibits", 0).memory.clock_ms, stage(world, "exhibits", 1).memory.clock_ms,
    )  # fmt: skip
    world.run()
    assert fraction(world, "queue_depth")[0] == 0


def test_23_the_aligned_clock_is_the_lowest_tick_of_all():
    clock = AlignedClock(("p/0", "p/1", "p/2"))
    for source, tick_ms in (("p/0", 7_000), ("p/1", 9_000)):
        clock.see(Tick(source, 1, tick_ms))
    assert clock.aligned() is None, "one of them has never spoken"
    clock.see(Tick("p/2", 1, 5_000))
    assert clock.aligned().tick_ms == 5_000
    clock.see(Tick("p/2", 1, 4_000))
    assert clock.aligned().tick_ms == 5_000, "a clock never goes back"
    clock.see(Tick("p/2", 1, 8_000))
    assert clock.aligned().tick_ms == 7_000


def test_24_a_gauge_is_restated_by_what_comes_late():
    """Depth is who had come by T and had not left by T, whatever was known at T."""
    world = World(plan_of("queue_depth", "longest_wait"), 1)
    say(world, told("queued", 0, "a"), told("queued", 5, "b"))
    let_pass(world, 10)
    assert fraction(world, "queue_depth")[0] == 2
    say(world, told("abandoned", 4, "a"), told("queued", 20, "c"))
    let_pass(world, 11)
    # "a" had left before the last tick; "c" has not come yet.
    assert fraction(world, "queue_depth")[0] == 1
    # "b" waits since 0:05.
    assert values(world, "longest_wait")[0].value == 6


def test_24_a_restored_partition_tells_the_gauge_of_its_log_not_of_its_memory():
    world = World(plan_of("queue_depth"), 1)
    say(world, told("queued", 0, "a"), told("queued", 5, "b"))
    let_pass(world, 10)
    say(world, told("abandoned", 8, "a"))
    owned = stage(world, "lifecycle")
    world.batch(owned, 1, crash=True)
    let_pass(world, 11)
    assert fraction(world, "queue_depth")[0] == 1


def test_26_every_queue_is_a_cell_of_its_own_whoever_came_first():
    names = [f"q{number}" for number in range(300)]
    cells = []
    for order in (names, names[::-1]):
        world = World(plan_of("offered"), 2)
        say(world, *(told("queued", 0, name, queue=name) for name in order))
        let_pass(world, MINUTE)
        found = {
            value.dimensions["queue"]: value.numerator
            for value in world.values()
            if value.name == "offered" and value.window.kind == "all"
        }
        assert found == {**dict.fromkeys(names, 1), "*": 300}
        cells.append(found)
    assert cells[0] == cells[1]


def exposed(collector: ExhibitCollector) -> dict[str, float]:
    """Values of the total over everything, by KPI."""
    return {
        sample.labels["as"]: sample.value
        for family in collector.collect()
        for sample in family.samples
        if sample.name == "cx_exhibit_value"
        and sample.labels["window"] == "all"
        and sample.labels["queue"] == "*"
    }


def test_27_sums_that_are_corrected_are_gauges_and_fall():
    world = World(plan_of("offered", "asa", "abandon_rate"), 1)
    collector = ExhibitCollector(CollectorRegistry(), stale_seconds=10, monotonic=lambda: 0.0)

    def show() -> None:
        shown = {value.key: value for value in world.values()}
        gone = {key: None for known in collector._values.values() for key in known}
        collector.show(0, gone | shown)
        collector.tick(0, START_MS)

    say(world, told("queued", 0), told("accepted", 90, performer_id="ann"))
    let_pass(world, 100)
    show()
    assert exposed(collector) == {"offered": 1, "asa": 90.0, "abandon_rate": 0.0}
    again = told("accepted", 30, performer_id="ann", event_id="k-accepted-90")
    say(world, again | {"record_version": 1})
    let_pass(world, 101)
    show()
    assert exposed(collector)["asa"] == 30.0
    assert {family.type for family in collector.collect()} == {"gauge"}
    # What only grows counts records and rows, not what a correction can take back.
    counters = {f.name for f in metrics.REGISTRY.collect() if f.type == "counter"}
    assert counters
    assert not [name for name in counters if "exhibit" in name or "kpi" in name]


def test_23_what_a_lost_partition_showed_is_withdrawn():
    world = World(plan_of("offered"), 1)
    now = [0.0]
    collector = ExhibitCollector(CollectorRegistry(), stale_seconds=3, monotonic=lambda: now[0])
    say(world, told("queued", 0))
    let_pass(world, 10)
    collector.show(0, {value.key: value for value in world.values()})
    collector.tick(0, START_MS)
    assert exposed(collector) == {"offered": 1}
    now[0] = 3.5
    assert exposed(collector) == {}, "its clock stands still"
    collector.tick(0, START_MS + 3_500)
    assert exposed(collector) == {"offered": 1}
    collector.drop(0)
    assert exposed(collector) == {}


def test_undefined_is_absent_and_never_zero():
    world = World(plan_of("offered", "asa", "abandon_rate"), 1)
    collector = ExhibitCollector(CollectorRegistry(), stale_seconds=3, monotonic=lambda: 0.0)
    say(world, told("queued", 0))
    let_pass(world, 10)
    (asa,) = values(world, "asa")
    assert (asa.value, asa.denominator) == (None, 0)
    collector.show(0, {value.key: value for value in world.values()})
    collector.tick(0, START_MS)
    assert "asa" not in exposed(collector)
