from __future__ import annotations

from pipeline.exhibit.compare import compare
from pipeline.exhibit.explain import explain
from pipeline.exhibit.words import EVENTS, duration, events, expression
from pipeline.kpi import catalogue
from schemas.exhibit_file import load_exhibit
from schemas.facts import FACT_KINDS
from schemas.interaction import EVENT_CLASSES

OLD = """\
exhibit: sales
version: 1
preset: talkdesk_live
where: {queue: ["sales-*", care]}
by: [queue]
windows: [15m, {tumbling: day}]
kpis:
  - {kpi: service_level, target: ">= 0.80", min_n: 30, owner: OSP, method: random_sample,
     alert: {after_minutes: 10, severity: page}}
  - {kpi: service_level, as: strict, parameters: {mode: A}}
  - {kpi: fcr_repeat}
  - {kpi: queue_depth}
"""


def explained(text: str) -> dict[str, dict[str, str]]:
    """What is said of each entry, by title."""
    found: dict[str, dict[str, str]] = {}
    for part in explain(load_exhibit(text), catalogue.load()).split("\n\n")[1:]:
        first, *lines = part.splitlines()
        name = first.partition(". ")[2].partition(":")[0]
        found[name] = {line[3:20].strip(): line[20:] for line in lines}
    return found


def test_the_head_says_whom_and_when():
    head = explain(load_exhibit(OLD), catalogue.load()).splitlines()
    assert head[:6] == [
        "sales version 1",
        "counts       queue sales-* or care; direction inbound",
        "split by     queue, with totals",
        "windows      the last 15m, each day",
        "days in      UTC",
        "preset       talkdesk_live: Talkdesk Live",
    ]


def test_an_entry_is_explained():
    told = explained(OLD)["service_level"]
    assert told["value"] == "numerator / denominator, with its 95 % interval"
    assert told["parameters"].startswith(
        "mode E, threshold_seconds 20, short_abandon_seconds 5, boundary <="
    )
    assert told["made of"] == "queued, accepted, abandoned, left_queue, completed, record"
    assert told["numerator"] == "outcome = 'answered' AND wait_ms <= 20000"
    assert told["target"] == (
        ">= 0.80; below n = 30 it is neither met nor missed; "
        "a page once it is missed for 10 minutes"
    )
    assert (told["owner"], told["method"]) == ("OSP", "random sample")
    assert told["final"].startswith("a bucket is final 1 hour after its end")


def test_an_entry_that_overrules_its_preset_says_so():
    told = explained(OLD)["strict"]
    assert told["parameters"].startswith("mode A, threshold_seconds 20, boundary <=")
    assert told["preset"].endswith("; the entry itself says mode")


def test_cohorts_and_gauges():
    told = explained(OLD)
    assert told["fcr_repeat"]["final"] == (
        "there are two values: provisional over all contacts that have ended, final over those "
        "that ended at least 7 days ago"
    )
    assert told["fcr_repeat"]["undefined"] == (
        "the final value over the last 15m: nothing is so old"
    )
    early = explained(
        "exhibit: e\nwindows: [1h]\nkpis:\n"
        "  - {kpi: fcr_repeat, parameters: {mature_only: false}}\n"
    )["fcr_repeat"]
    assert early["final"] == (
        "the provisional and the final value are both over all contacts that have ended; a bucket "
        "is restated by what comes later"
    )
    assert "undefined" not in early
    assert told["queue_depth"]["where"] == "outcome = 'waiting' AND entered_ms <= now"
    assert told["queue_depth"]["lies"] == "by gauge: now"


def test_every_kpi_can_be_explained():
    kpis = "".join(f"  - {{kpi: {name}}}\n" for name in catalogue.load().definitions)
    told = explained(f"exhibit: e\nwindows: [all]\nkpis:\n{kpis}")
    assert list(told) == list(catalogue.load().definitions)
    assert all({"value", "final", "lies", "beware"} <= one.keys() for one in told.values())


def test_every_kind_of_fact_says_what_it_is_made_of():
    assert set(FACT_KINDS) >= EVENTS.keys()
    for fact in FACT_KINDS:
        for event in events(fact):
            assert event in EVENT_CLASSES or event.startswith("every event of"), (fact, event)


def test_expressions_are_bare():
    assert expression("CASE WHEN a = 1 THEN 1 ELSE 0 END") == "a = 1"
    assert expression("CASE WHEN CASE WHEN a THEN b END THEN 1 ELSE 0 END") == (
        "CASE WHEN CASE WHEN a THEN b END THEN 1 ELSE 0 END"
    )
    assert expression("a_ms <= {as_of_ms:Int64}") == "a_ms <= now"


def test_durations():
    assert [duration(ms) for ms in (60_000, 5_400_000, 3_600_000, 604_800_000, 1_500)] == [
        "1 minute", "90 minutes", "1 hour", "7 days", "1.5 seconds",
    ]  # fmt: skip


# --- changes --------------------------------------------------------------------------------------


def changes(*replaced: tuple[str, str]):
    new = OLD
    for before, after in replaced:
        assert before in new
        new = new.replace(before, after)
    return compare(load_exhibit(OLD), load_exhibit(new), catalogue.load())


def test_nothing_changes():
    assert changes() == ((), ())


def test_what_only_readers_see_leaves_numbers_comparable():
    found = changes((">= 0.80", ">= 0.85"), ("min_n: 30", "min_n: 50"), ("15m", "1h"))
    assert found.lines == (
        "+ window: the last 1h",
        "- window: the last 15m",
        "~ service_level: target >= 0.80 -> >= 0.85",
        "~ service_level: min_n 30 -> 50",
        "! version is 1 in both; raise it, for a version says one thing",
    )
    assert found.incomparable == ()


def test_other_parameters_are_another_measure():
    found = changes(("{mode: A}", "{mode: A, boundary: '<'}"), ("version: 1", "version: 2"))
    assert found.lines == ("~ version: 1 -> 2", "~ strict: boundary <= -> <")
    assert found.incomparable == ("strict",)


def test_another_preset_changes_what_leaned_on_it():
    found = changes(("talkdesk_live", "microsoft_d365"))
    assert found.lines == (
        "~ preset: talkdesk_live -> microsoft_d365",
        "~ service_level: mode E -> D",
        "~ service_level: short_abandon_seconds 5 -> none",
        "! version is 1 in both; raise it, for a version says one thing",
    )
    assert found.incomparable == ("service_level",)


def test_another_population_changes_everything():
    found = changes(("care]", "help]"), ("  - {kpi: queue_depth}\n", "  - {kpi: asa}\n"))
    assert found.lines == (
        "~ population: queue sales-* or care; direction inbound -> "
        "queue sales-* or help; direction inbound",
        "+ asa: asa, by arrival",
        "- queue_depth: queue_depth, by gauge",
        "! version is 1 in both; raise it, for a version says one thing",
    )
    assert found.incomparable == ("service_level", "strict", "fcr_repeat")
