"""No KPI and no channel is without a worked example, and no journey is told in passing."""

from __future__ import annotations

from typing import get_args

import pytest

from pipeline.kpi import catalogue
from schemas.interaction import Channel
from tests.golden.conftest import EXAMPLES
from tests.golden.table import Example

VALUES = [value for example in EXAMPLES for check in example.checks for value in check.values]
JOURNEYS = [example for example in EXAMPLES if example.stories]


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


def test_there_are_journeys_enough() -> None:
    assert len(JOURNEYS) >= 25


@pytest.mark.parametrize("example", JOURNEYS, ids=lambda example: example.name)
def test_a_journey_is_more_than_one_contact_with_one_performer(example: Example) -> None:
    """Its text is compared with what is told in ``test_worked_examples.py``."""
    events = [event for step in example.steps if isinstance(step, list) for event in step]
    contacts = {event["interaction_id"] for event in events}
    performers = {event["performer_id"] for event in events if "performer_id" in event}
    assert len(contacts) >= 2 or len(performers) >= 2
    kpis = {value.kpi.id for check in example.checks for value in check.values}
    assert len(kpis) >= 4
