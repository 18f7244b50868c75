from __future__ import annotations

import pytest

from pipeline.exhibit.sense import check_sense, value_range
from pipeline.kpi import catalogue
from schemas.exhibit import ExhibitError
from schemas.exhibit_file import load_exhibit

COMPOSITE = """
- id: staffed
  version: 1
  title: Staffed
  unit: ratio
  direction: higher
  attribution: arrival
  grid: 30m
  parts:
    offered: {fact: queue_segment, time: entered_ms}
  numerator: offered
  denominator: offered
  source: []
  traps: none
"""


def problems(entries: str, rest: str = "windows: [1h, all]\n") -> list[str]:
    exhibit = load_exhibit(f"exhibit: e\n{rest}kpis:\n{entries}", "e.yaml")
    with pytest.raises(ExhibitError) as caught:
        check_sense(exhibit, catalogue.check_exhibit(exhibit, catalogue.load()))
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (
            'kpi: service_level, target: ">= 80"',
            'e.yaml:4:26: service_level is a ratio, and 80 is no value of it; '
            '80 % is written ">= 0.8"',
        ),
        (
            'kpi: abandon_rate, target: "3..5"',
            'e.yaml:4:25: abandon_rate is a ratio, and 3 is no value of it; '
            '3 % is written "0.03..0.05"',
        ),
        (
            'kpi: service_level, target: ">= 1.5"',
            'e.yaml:4:26: service_level is a ratio, and 1.5 is no value of it; '
            '1.5 % is written ">= 0.015"',
        ),
        (
            'kpi: service_level, target: ">= 800"',
            "e.yaml:4:26: service_level (ratio) is 0 to 1, so >= 800 is no target; "
            "write a bound in it",
        ),
        (
            'kpi: nps, target: ">= 120"',
            "e.yaml:4:16: nps (points) is -100 to 100, so >= 120 is no target; write a bound in it",
        ),
        (
            'kpi: csat_mean, target: ">= 6"',
            "e.yaml:4:22: csat_mean (score) is 0 to 5, so >= 6 is no target; write a bound in it",
        ),
        (
            'kpi: asa, target: "<= -1"',
            "e.yaml:4:16: asa (seconds) is 0 or more, so <= -1 is no target; write a bound in it",
        ),
        (
            'kpi: service_level, target: "<= 0.80"',
            "e.yaml:4:26: service_level is better the higher, so <= 0.80 rewards worse values; "
            'write ">= 0.8", or a range such as "x..y"',
        ),
        (
            "kpi: asa, target_source: statute",
            "e.yaml:4:16: target_source without a target; "
            "add a target or leave target_source out",
        ),
        (
            "kpi: asa, alert: {after_minutes: 5}",
            "e.yaml:4:16: alert without a target; add a target or leave alert out",
        ),
        (
            "kpi: queue_depth, min_n: 5",
            "e.yaml:4:24: queue_depth is a gauge and has no n; leave min_n out",
        ),
        (
            "kpi: offered, min_n: 5",
            "e.yaml:4:20: offered is a total and rests on no sample; leave min_n out",
        ),
        (
            "kpi: csat_top_box, parameters: {scale: 5, top: 6}",
            "e.yaml:4:48: the top 6 of 5 are all answers; write fewer boxes than the scale has",
        ),
        (
            "kpi: dsat, parameters: {bottom: 5}",
            "e.yaml:4:30: the bottom 5 of 5 are all answers; write fewer boxes than the scale has",
        ),
        (
            "kpi: enps, parameters: {tenure_from_days: 90, tenure_to_days: 30}",
            "e.yaml:4:30: nobody is between 90 and 30 days; "
            "write tenure_from_days below tenure_to_days",
        ),
        (
            "kpi: early_attrition, parameters: {days: 30, from_days: 30}",
            "e.yaml:4:51: nobody is between 30 and 30 days; write from_days below days",
        ),
        (
            "kpi: model_version_difference, parameters: {candidate: v2}",
            "e.yaml:4:37: model_version_difference compares two versions; "
            "name parameters: {baseline: one version, candidate: another}",
        ),
        (
            "kpi: model_version_difference, parameters: {baseline: v2, candidate: v2}",
            "e.yaml:4:64: v2 is compared with itself; "
            "name parameters: {baseline: one version, candidate: another}",
        ),
    ],
)  # fmt: skip
def test_an_entry_without_sense_is_told_what_to_write(entry, says):
    assert problems(f"  - {{{entry}}}\n") == [says]


@pytest.mark.parametrize(
    "entry",
    [
        'kpi: service_level, target: ">= 1"',
        'kpi: service_level, target: "0.7..0.8"',
        'kpi: csat_mean, target: ">= 4.5"',
        'kpi: csat_mean, parameters: {scale: 10}, target: ">= 8"',
        'kpi: nps, target: ">= -20"',
        'kpi: offered, target: "100..200"',
        "kpi: csat_top_box, parameters: {scale: 5, top: 5}",
        "kpi: attrition_rate, parameters: {tenure_from_days: 90}",
        "kpi: journey_completion, parameters: {window_days: 5}",
        "kpi: journey_duration, parameters: {quiet_days: 30}",
        'kpi: asa, target: "<= 0", alert: {severity: page}, target_source: client, min_n: 5',
    ],
)
def test_sense(entry):
    exhibit = load_exhibit(f"exhibit: e\nkpis:\n  - {{{entry}}}\n")
    check_sense(exhibit, catalogue.check_exhibit(exhibit, catalogue.load()))


def test_two_targets_that_no_value_meets():
    strict = '  - {kpi: asa, as: strict, target: "<= 20"}\n'
    assert problems(strict + '  - {kpi: asa, as: loose, target: "30..60"}\n') == [
        "e.yaml:5:27: loose is the number of strict in line 4, and no value meets both "
        "<= 20 and 30..60; change one of them"
    ]
    for other in ('asa, as: b, target: "10..60"', 'max_wait, as: b, target: "30..60"'):
        exhibit = load_exhibit(f"exhibit: e\nkpis:\n{strict}  - {{kpi: {other}}}\n")
        check_sense(exhibit, catalogue.check_exhibit(exhibit, catalogue.load()))


def test_windows_that_a_kpi_cannot_have():
    buckets = "windows: [{tumbling: 1h}]\n"
    assert problems("  - {kpi: queue_depth}\n", buckets) == [
        "e.yaml:4:6: queue_depth is a gauge, which a closed bucket does not have; "
        "add 5m, today or all"
    ]
    assert problems('  - {kpi: asa, target: "<= 9", alert: {}}\n', buckets) == [
        "e.yaml:4:32: an alert needs a window that moves with the clock; "
        "add 5m, 15m, 30m, 1h or today"
    ]


@pytest.mark.parametrize(
    ("kpi", "why"),
    [
        ("intent_drift", "is compared with the days before the window"),
        ("staffed", "is a mean over the length of the window"),
    ],
)
def test_all_time_has_no_length_and_nothing_before_it(kpi, why):
    assert problems(f"  - {{kpi: {kpi}}}\n", "windows: [all]\n") == [
        f"e.yaml:4:6: {kpi} {why}, and `all` has none; add today or {{tumbling: day}}"
    ]


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("channel: [voice, phone]", "3:26: no channel is phone; write voice, web_chat, wechat,"),
        ("direction: incoming", "3:9: no direction is incoming; did you mean inbound?"),
        ("channel: Voice", "3:9: no channel is Voice; did you mean voice?"),
        ("performer_kind: [agent]", "no performer_kind is agent; write human, bot or hybrid"),
        ("location: ['h?me']", "no location is h?me; did you mean home?"),
    ],
)
def test_a_population_that_nobody_can_belong_to(where, says):
    (found,) = problems("  - {kpi: asa}\n", f"windows: [1h]\nwhere: {{{where}}}\n")
    assert found.startswith("e.yaml:")
    assert says in found


@pytest.mark.parametrize(
    "where", ["channel: '*chat'", "direction: '*'", "location: ['']", "queue: [anything, '?']"]
)
def test_a_population(where):
    exhibit = load_exhibit(f"exhibit: e\nwhere: {{{where}}}\nkpis:\n  - {{kpi: asa}}\n")
    check_sense(exhibit, catalogue.check_exhibit(exhibit, catalogue.load()))


def test_windows_shorter_than_the_grid_of_a_composite():
    known = catalogue.Catalogue(catalogue.parse(COMPOSITE))
    text = "exhibit: e\nwindows: [{}]\nkpis:\n  - {{kpi: staffed}}\n"
    fits = load_exhibit(text.format("30m, {tumbling: day}, all"), "e.yaml")
    check_sense(fits, catalogue.check_exhibit(fits, known))
    short = load_exhibit(text.format("5m, {tumbling: 15m}, 1h"), "e.yaml")
    with pytest.raises(ExhibitError) as caught:
        check_sense(short, catalogue.check_exhibit(short, known))
    assert str(caught.value) == (
        "e.yaml:4:6: staffed is combined in whole intervals of 30m, and 5m, {tumbling: 15m} are "
        "shorter; put it into an exhibit of its own with windows of 30m or more"
    )


def test_ranges():
    known = catalogue.load()
    assert value_range(known.compile("aht")) == (0.0, float("inf"))
    assert value_range(known.compile("csat_mean", {"scale": 7})) == (0.0, 7.0)
    assert value_range(known.compile("nps")) == (-100.0, 100.0)
    of_parts = catalogue.Catalogue(catalogue.parse(COMPOSITE)).compile("staffed")
    assert value_range(of_parts) == (0.0, 1.0)
    may_exceed = COMPOSITE.replace("grid: 30m", "grid: 30m\n  proportion: false")
    of_parts = catalogue.Catalogue(catalogue.parse(may_exceed)).compile("staffed")
    assert value_range(of_parts) == (-10.0, 10.0)
