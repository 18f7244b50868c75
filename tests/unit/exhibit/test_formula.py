from __future__ import annotations

import pytest

from pipeline.docs.formula import mathematics
from pipeline.docs.kpis import kpi_pages
from pipeline.kpi import catalogue
from sinks.clickhouse.definitions import COLUMNS, row

OTHERS = """
- id: busy_time
  version: 1
  title: Busy time
  unit: seconds
  direction: none
  fact: performer_state
  attribution: clip
  time: entered_ms
  until: left_ms
  of: state = 'busy'
  denominator: null
  source: []
  traps: none

- id: wait_percentile
  version: 1
  title: Wait
  unit: seconds
  direction: lower
  fact: queue_segment
  attribution: arrival
  time: entered_ms
  aggregate: map
  key: BIN(wait_ms)
  reads: percentile
  parameters:
    percentile: {type: int, default: 90, help: "share that waits no longer"}
  source: []
  traps: none

- id: load
  version: 1
  title: Load
  unit: ratio
  direction: none
  attribution: arrival
  grid: 30m
  proportion: false
  parts:
    offered: {fact: queue_segment, time: entered_ms}
    interactions: {fact: interaction, time: started_ms}
  numerator: offered
  denominator: interactions
  source: []
  traps: none
"""
MADE = catalogue.Catalogue(catalogue.parse(OTHERS))


def first_line(kpi) -> str:
    return mathematics(kpi).splitlines()[1].partition(" &= ")[2].removesuffix(r" \\")


@pytest.mark.parametrize(
    ("kpi", "formula"),
    [
        ("offered", r"\sum_{r \in R(W)} N(r)"),
        ("asa", r"\frac{1}{1000} \cdot \frac{\sum_{r \in R(W)} N(r)}{\sum_{r \in R(W)} D(r)}"),
        ("nps", r"100 \cdot \frac{\sum_{r \in R(W)} N(r)}{\sum_{r \in R(W)} D(r)}"),
        ("max_wait", r"\frac{1}{1000} \cdot \max_{r \in R(W)} N(r)"),
        ("longest_wait", r"\frac{1}{1000} \cdot \left( T - \min_{r \in R(W)} N(r) \right)"),
    ],
)
def test_formulas(kpi, formula):
    assert first_line(catalogue.load().compile(kpi)) == formula


def test_formulas_of_other_shapes():
    assert first_line(MADE.compile("busy_time")) == (
        r"\frac{1}{1000} \cdot \sum_{r \in R(W)} N(r)\, \left| [t(r), u(r)) \cap W \right|"
    )
    assert first_line(MADE.compile("wait_percentile")) == (
        r"\operatorname{percentile}_{p} \{\, k(r) : r \in R(W) \,\}"
    )
    assert first_line(MADE.compile("load")) == (
        r"\frac{\sum_{i \in W / \text{30m}} N(i)}{\sum_{i \in W / \text{30m}} D(i)}"
    )


def test_rows_of_a_cohort_are_old_enough():
    assert mathematics(catalogue.load().compile("fcr_repeat")).splitlines()[2] == (
        r"R(W) &= \{\, r \in \text{contact} : P(r),\ t(r) \in W,\ m(r) \le T \,\}"
    )


def test_every_page_links_to_the_examples_that_name_its_kpi(tmp_path):
    folder = tmp_path / "tests" / "golden" / "examples"
    folder.mkdir(parents=True)
    (folder / "01-one.md").write_text("# 1. One\n\n| `asa of=all` | all |\n| `asa` | all |\n")
    pages = kpi_pages(tmp_path)
    assert pages.keys() == {"docs/kpis/README.md"} | {
        f"docs/kpis/{name}.md" for name in catalogue.load().definitions
    }
    link = "- [1. One](../../tests/golden/examples/01-one.md)\n"
    assert [name for name, page in pages.items() if link in page] == ["docs/kpis/asa.md"]


def test_a_composite_is_written_down_with_its_parts():
    told = dict(zip(COLUMNS, row(MADE.definition("load")), strict=True))
    assert (told["fact"], told["time"]) == (
        "queue_segment, interaction", "offered: entered_ms; interactions: started_ms",
    )  # fmt: skip
    assert (told["numerator"], told["denominator"]) == ("offered", "interactions")
    total = dict(zip(COLUMNS, row(MADE.definition("busy_time")), strict=True))
    assert (total["fact"], total["denominator"]) == ("performer_state", "")
