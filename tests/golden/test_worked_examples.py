"""Worked examples, as written in ``examples/``, on a real Kafka and by a replay of files."""

from __future__ import annotations

import pytest

from pipeline.cli.journey import command
from tests.golden.conftest import EXAMPLES
from tests.golden.harness import differences, replay_as_of

CHECKS = [
    pytest.param(example, check, id=f"{example.name}: {check.title}")
    for example in EXAMPLES
    for check in example.checks
]
TIMED = [param for param in CHECKS if param.values[1].clock is not None]
FINAL = [param for param in CHECKS if param.values[1].clock is None]
PUBLISHED = [pytest.param(e, id=e.name) for e in EXAMPLES if e.published]

STORIES = [pytest.param(e, *story, id=story[0]) for e in EXAMPLES for story in e.stories]


@pytest.mark.parametrize(("example", "check"), TIMED)
def test_by_replay_as_of(tmp_path, example, check):
    rows = replay_as_of(tmp_path, example, check)
    assert differences(rows, check.values) == []


@pytest.mark.parametrize(("example", "check"), FINAL)
def test_by_replay_in_the_end(replayed, example, check):
    rows = [row for row in replayed if row["exhibit"] == example.name]
    assert differences(rows, check.values) == []


@pytest.mark.parametrize(("example", "contact", "text"), STORIES)
def test_the_story_of_a_journey(facts, capsys, example, contact, text):
    command(contact, facts=facts)
    assert capsys.readouterr().out.replace(f"{example.name}/", "") == text


@pytest.mark.kafka
@pytest.mark.parametrize(("example", "check"), CHECKS)
def test_on_kafka(played, example, check):
    rows = played.at[example.name, check.title]
    assert differences(rows, check.values) == []


@pytest.mark.kafka
@pytest.mark.parametrize("example", PUBLISHED)
def test_what_was_published_on_the_way(played, example):
    for value in example.published:
        told = played.published(example, value)
        assert told == value.versions, f"{value.kpi.text} | {value.window} | {value.dimensions}"
