"""No KPI of the catalogue is without a worked example."""

from __future__ import annotations

from pathlib import Path

from pipeline.kpi import catalogue
from tests.golden.table import read

EXAMPLES = Path(__file__).with_name("examples")


def test_every_kpi_has_a_value_in_some_worked_example() -> None:
    shown = {
        value.kpi.id
        for file in EXAMPLES.glob("*.md")
        for check in read(file).checks
        for value in check.values
        if value.value != "null"
    }
    assert set(catalogue.load().definitions) - shown == set()
