from __future__ import annotations

from pathlib import Path

from pipeline.stages.configuration import Configuration
from schemas.exhibit_file import load_exhibit
from schemas.sources import SourceHeard
from schemas.values import WindowRef
from sinks.wallboard.frames import FloorRow, Freshness, Other, Selection
from sinks.wallboard.silence import SilentSource
from tests.support.wallboard import DESK, NOON_MS, Shown, value

FLOOR = load_exhibit(Path(__file__).parents[3] / "schemas" / "exhibits" / "floor.yaml")

MISSED = {"target": "<=0.05", "status": "missed"}


def section(shown, **chosen):
    (found,) = shown.board.frame(Selection(**chosen)).sections
    return found


def names(found):
    return [tile.name for tile in found.tiles]


def test_a_tile_says_what_the_value_says():
    shown = Shown()
    shown.put(value("abandon_rate", 0.072, n=164, low=0.042, high=0.122, **MISSED))
    shown.tick()
    (tile,) = section(shown).tiles
    assert (tile.id, tile.title, tile.label) == ("desk/abandon_rate", "Abandon rate", "")
    assert (tile.value, tile.n, tile.low, tile.high) == (0.072, 164, 0.042, 0.122)
    assert (tile.target, tile.status, tile.state) == ((None, 0.05), "missed", "provisional")
    assert round(tile.shortfall, 9) == 0.44  # (0.072 - 0.05) / 0.05


def test_rows_of_another_name_say_so_and_a_title_of_the_exhibit_wins():
    shown = Shown()
    shown.put(value("sl_80_20", 0.9), value("nps", 12.5))
    shown.tick()
    assert [(t.title, t.label) for t in section(shown).tiles] == [
        ("Service level", "sl_80_20"),
        ("Promoters", ""),
    ]


def test_the_worst_comes_first_then_the_order_of_the_exhibit():
    shown = Shown()
    shown.put(
        value("abandon_rate", 0.051, **MISSED),  # 2 % over
        value("asa", 90.0, target="<=30", status="missed"),  # 200 % over
        value("sl_80_20", 0.78, target=">=0.8", status="trending"),
        value("nps", 10.0),
        value("offered", 7),
        value("fcr_repeat", 0.9, target=">=0.7", status="met"),
    )
    shown.tick()
    assert names(section(shown)) == [
        "asa", "abandon_rate", "sl_80_20", "fcr_repeat", "nps", "offered",
    ]  # fmt: skip


def test_near_misses_keep_the_order_of_the_exhibit():
    shown = Shown()
    # 10.2 % over and 11 % over are the same step, so a small change moves no tile.
    shown.put(
        value("abandon_rate", 0.0551, **MISSED), value("asa", 33.3, target="<=30", status="missed")
    )
    shown.tick()
    assert names(section(shown)) == ["abandon_rate", "asa"]


def test_without_a_tick_nothing_is_shown():
    shown = Shown()
    shown.put(value("offered", 7))
    assert section(shown).tiles == []
    assert section(shown).silent == "no worker has published its clock yet"


def test_a_clock_that_stands_still_is_stale_after_the_limit():
    shown = Shown()
    shown.put(value("offered", 7))
    shown.tick()
    shown.clock.pass_seconds(5)
    assert section(shown).freshness == Freshness("live", NOON_MS)
    shown.clock.pass_seconds(0.1)
    assert section(shown).freshness == Freshness(
        "stale", NOON_MS, "the clock of the pipeline stands still"
    )
    assert section(shown).tiles[0].value == 7  # shown, but as old


def test_ticks_that_come_but_are_old_are_stale():
    shown = Shown()
    shown.clock.pass_seconds(16)
    shown.board.tick(0, NOON_MS)
    assert section(shown).freshness.reason == "the pipeline is behind the present"


def test_a_lost_partition_shows_nothing_and_says_why():
    shown = Shown()
    shown.put(value("offered", 7))
    shown.tick()
    shown.board.drop(0)
    found = section(shown)
    assert (found.tiles, found.cells) == ([], [])
    assert found.silent == "its worker gave the exhibit up; no other has it yet"


def test_a_clock_of_another_partition_is_not_that_of_the_exhibit():
    # "desk" lies in partition 1 of 2: 31 is odd, so is 100 + 101 + 115 + 107 of d, e, s, k.
    shown = Shown(partitions=2)
    shown.board.tick(0, NOON_MS)
    assert section(shown).freshness.state == "waiting"
    shown.board.tick(1, NOON_MS)
    assert section(shown).freshness.state == "live"


def test_a_value_that_is_gone_leaves_no_tile():
    shown = Shown()
    shown.put(value("offered", 7))
    shown.tick()
    shown.board.show(0, {value("offered", 7).key: None})
    assert section(shown).tiles == []
    assert section(shown).silent == "nothing has happened here yet"


def test_a_cell_and_a_window_are_chosen():
    shown = Shown()
    quarter = WindowRef("sliding", "15m", None, None)
    shown.put(
        value("offered", 7),
        value("offered", 3, queue="sales"),
        value("offered", 2, queue="sales", window=quarter),
    )
    shown.tick()
    sales = (("queue", "sales"),)
    assert section(shown).tiles[0].value == 7
    assert section(shown).cells == [("*",), ("sales",)]
    assert section(shown, dimensions=sales).tiles[0].value == 3
    assert section(shown, dimensions=sales, window="15m").tiles[0].value == 2


def test_an_exhibit_that_is_not_split_so_says_that_instead_of_its_total():
    shown = Shown()
    shown.put(value("offered", 7))
    shown.tick()
    found = section(shown, dimensions=(("vendor", "north"),))
    assert found.tiles == []
    assert found.silent == "this exhibit is not split by vendor"


SECOND = load_exhibit("""
exhibit: desk
version: 2
by: [queue]
windows: [1h]
kpis: [{kpi: offered, title: Contacts offered}, {kpi: abandoned}]
""")


def test_values_of_a_version_that_nobody_told_of_are_not_shown_as_another():
    shown = Shown()
    shown.put(value("offered", 7))
    shown.tick()
    shown.put(value("offered", 8, exhibit_version=2))
    assert section(shown).tiles == []
    assert section(shown).silent == "workers show version 2, which this wallboard cannot read"


def test_a_new_version_of_the_log_is_shown_once_its_values_are():
    shown = Shown()
    shown.put(value("offered", 7))
    shown.tick()
    shown.board.configure("lifecycle/0", Configuration.of([DESK, SECOND]))
    assert (section(shown).version, section(shown).tiles[0].title) == (1, "Offered")
    shown.put(value("offered", 8, exhibit_version=2))
    found = section(shown)
    assert (found.version, found.windows) == (2, ("1h",))
    assert [(one.title, one.value) for one in found.tiles] == [("Contacts offered", 8)]


def test_an_exhibit_that_ends_and_one_that_comes_are_followed():
    shown = Shown()
    shown.board.configure("lifecycle/0", Configuration.of([DESK, FLOOR]))
    assert shown.board.frame(Selection()).exhibits == ["desk", "floor"]
    shown.board.configure("lifecycle/0", Configuration.of([FLOOR]))
    assert shown.board.frame(Selection()).exhibits == ["floor"]


def test_a_source_that_is_silent_marks_the_numbers_that_rest_on_it():
    shown = Shown()
    shown.put(value("offered", 7), value("offered", 3, queue="sales"))
    shown.tick()
    shown.board.heard(SourceHeard("pbx", "sales", NOON_MS - 900_000))
    shown.board.heard(SourceHeard("bot", "care", NOON_MS - 10_000))
    assert section(shown).silent_sources == []  # 900 s is not longer than 900 s
    shown.clock.pass_seconds(1)
    shown.tick()
    silent = [SilentSource("pbx", NOON_MS - 900_000)]
    assert section(shown).silent_sources == silent
    assert section(shown, dimensions=(("queue", "sales"),)).silent_sources == silent
    assert section(shown, dimensions=(("queue", "care"),)).silent_sources == []
    # Another reader heard it a second ago.
    shown.board.heard(SourceHeard("pbx", "", NOON_MS))
    assert section(shown).silent_sources == []


def test_performers_of_each_queue_by_state():
    shown = Shown(exhibits=(FLOOR,))

    def gauge(kpi, name, state, number, queue):
        return value(
            name, number, exhibit="floor", kpi=kpi, parameters={"state": state}, queue=queue,
            unit="count", window=WindowRef("sliding", "5m", None, None),
        )  # fmt: skip

    shown.put(
        gauge("performers_by_state", "busy", "busy", 3, "*"),
        gauge("longest_in_state", "longest_busy", "busy", 431.5, "*"),
        gauge("performers_by_state", "busy", "busy", 0, "sales"),
        gauge("longest_in_state", "longest_busy", "busy", None, "sales"),
    )
    shown.tick()
    assert section(shown).floor == [
        FloorRow(("*",), {"busy": 3}, {"busy": 431.5}),
        FloorRow(("sales",), {"busy": 0}, {}),
    ]


def test_buckets_are_no_current_values():
    shown = Shown()
    bucket = WindowRef("tumbling", "30m", "2026-03-02T11:30:00Z", "2026-03-02T12:00:00Z")
    shown.put(value("offered", 7, window=bucket))
    shown.tick()
    assert section(shown).windows == ("15m", "1h", "today")
    assert section(shown).tiles == []


def test_a_sliding_window_ends_at_the_clock_although_its_value_has_not_changed():
    shown = Shown()
    shown.put(value("offered", 7))
    shown.clock.pass_seconds(60)
    shown.tick()
    window = section(shown).tiles[0].window
    assert (window.start, window.end) == ("2026-03-02T11:01:00Z", "2026-03-02T12:01:00Z")


def test_of_a_cohort_the_final_reading_leads_once_it_counts_anything():
    shown = Shown()
    shown.tick()
    cohort = {"attribution": "cohort-final"}
    shown.put(
        value("fcr_repeat", 0.9, n=40, **cohort),
        value("fcr_repeat", None, n=0, state="final", **cohort),
    )
    (tile,) = section(shown).tiles
    assert (tile.state, tile.value, tile.other) == ("provisional", 0.9, Other("final", None, 0))
    shown.put(value("fcr_repeat", 0.7, n=10, state="final", **cohort))
    (tile,) = section(shown).tiles
    assert (tile.state, tile.value, tile.other) == ("final", 0.7, Other("provisional", 0.9, 40))


def test_trends_are_sampled_twice_a_minute_and_keep_gaps():
    shown = Shown()
    for number in (7, 8, None, 9):  # at 0, 30, 60 and 90 s
        shown.put(value("offered", number))
        shown.tick()
        shown.clock.pass_seconds(30)
    assert shown.board.trends(Selection()) == {"desk/offered": [7, 8, None, 9]}


def test_trends_forget_what_is_older_than_an_hour():
    shown = Shown()
    for number in range(125):
        shown.put(value("offered", number))
        shown.tick()
        shown.clock.pass_seconds(30)
    points = shown.board.trends(Selection())["desk/offered"]
    assert (len(points), points[0], points[-1]) == (120, 5, 124)
