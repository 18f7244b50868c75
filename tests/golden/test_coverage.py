"""No KPI of the catalogue and no channel is without a worked example."""

from __future__ import annotations

from typing import get_args

import pytest

from pipeline.kpi import catalogue
from schemas.interaction import Channel
from tests.golden.conftest import EXAMPLES

VALUES = [value for example in EXAMPLES for check in example.checks for value in check.values]


def test_every_kpi_has_a_value_in_some_worked_example() -> None:
    shown = {value.kpi.id for value in VALUES if value.value != "null"}
    assert set(catalogue.load().definitions) - shown == set()


@pytest.mark.parametrize("kpi", ["backlog", "on_time", "aht"])
def test_every_channel_has_a_value_of_what_every_channel_is_asked_for(kpi: str) -> None:
    shown = {
        value.dimensions.get("channel")
        for value in VALUES
        if value.kpi.id == kpi and value.value not in ("null", "0")
    }
    assert set(get_args(Channel)) - shown == set()
