"""Bugs planted in the stream, each found by the lifecycle in SQL.

The stages run over the same events in a process of their own, once as they are and once with each
bug; what they publish is compared with SQL over the accepted events.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from ruamel.yaml import YAML

from pipeline.audit.lifecycle import lifecycle
from pipeline.audit.values import Cell, Numbers, computed, differences, of_value
from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from pipeline.simulator.timeline import rfc3339
from schemas.exhibit_file import load_exhibit
from schemas.values import decode_value
from tests.audit.bugs import BUGS, Bug, planted
from tests.audit.center import DAY_MS, HOUR_MS, START_MS, Event, bodies, store, week
from tests.integration.warehouse import client_of
from tests.support.services import clickhouse_server

pytestmark = pytest.mark.clickhouse

INTERACTIONS = int(os.environ.get("CXSTREAM_BUG_INTERACTIONS", "500"))
DAYS = 7.0
CLOCK_MS = START_MS + 9 * DAY_MS
ROOT = Path(__file__).parents[2]
EXHIBIT = Path(__file__).with_name("exhibit.yaml")


class Center(NamedTuple):
    """Events in a file, and what SQL makes of them."""

    file: Path
    expected: Mapping[Cell, Numbers]


def edges() -> list[Event]:
    """A wait of exactly 20 s, and a customer back exactly seven days after the end."""
    found = []
    for number, began_ms in enumerate(
        (START_MS + HOUR_MS, START_MS + HOUR_MS + 80_000 + 7 * DAY_MS)
    ):
        steps = [("queued", 0), ("accepted", 20_000), ("completed", 80_000)]
        for kind, after_ms in steps:
            event: Event = {
                "event_id": f"edge-{number}-{kind}", "kind": kind, "source": "simulator",
                "interaction_id": f"edge-{number}", "channel": "voice", "customer": "+49 30 555",
                "intent": "edge", "queue": "sales", "occurred_at": rfc3339(began_ms + after_ms),
            }  # fmt: skip
            if kind == "accepted":
                event |= {"performer_id": "ada", "performer_kind": "human", "via": "queue"}
            if kind == "completed":
                event["ended_by"] = "customer"
            found.append(event)
    return found


def given_up() -> tuple[list[Event], list[Event]]:
    """A session with a bot whose second half comes in a week late."""
    found = []
    steps = [("bot_started", 0), ("bot_turn", 5_000), ("bot_turn", 600_000), ("bot_ended", 660_000)]
    for number, (kind, after_ms) in enumerate(steps):
        event: Event = {
            "event_id": f"late-{number}", "kind": kind, "source": "simulator",
            "interaction_id": "late", "channel": "web_chat", "intent": "edge", "queue": "sales",
            "performer_id": "bot", "performer_kind": "bot",
            "occurred_at": rfc3339(START_MS + HOUR_MS + after_ms),
        }  # fmt: skip
        found.append(event)
    found[-1]["outcome"] = "resolved"
    return found[:2], found[2:]


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    first, last = given_up()
    told = bodies([*first, *week(INTERACTIONS, DAYS), *edges(), *last])
    file = tmp_path_factory.mktemp("center") / "events.jsonl"
    file.write_bytes(b"\n".join(told))
    with clickhouse_server() as server, client_of(server, "default") as client:
        store(client, "events", told)
        facts = lifecycle(client, "events", "facts", CLOCK_MS)
        assert not facts.not_covered
        plan = Plan([load_exhibit(asked(KPIS))], catalogue.load()).exhibits[0]
        yield Center(file, computed(client, plan, "facts", "computed", CLOCK_MS))


KPIS = frozenset(bug.kpi for bug in BUGS)


def asked(names: Collection[str]) -> str:
    """The exhibit of the audits with these KPIs alone, as text."""
    exhibit = YAML(typ="safe", pure=True).load(EXHIBIT.read_text("utf-8"))
    exhibit["kpis"] = [kpi for kpi in exhibit["kpis"] if kpi.get("as", kpi["kpi"]) in names]
    return json.dumps(exhibit)


def played(center: Center, code: Path, names: Collection[str], folder: Path) -> dict[Cell, Numbers]:
    """What the stages publish of KPIs, with the ``pipeline`` of a folder."""
    exhibit = folder / "exhibit.yaml"
    exhibit.write_text(asked(names))
    done = subprocess.run(
        [sys.executable, "-m", "tests.audit.play", center.file, exhibit, str(CLOCK_MS)],
        cwd=code,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(code), str(ROOT)))},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(of_value(decode_value(line.encode())) for line in done.stdout.splitlines())


def test_without_a_bug_nothing_differs(center: Center, tmp_path: Path) -> None:
    found = played(center, ROOT, KPIS, tmp_path)
    assert len(found) > 1_000
    different = differences(found, center.expected)
    told = "\n".join(f"{cell}: {pair}" for cell, pair in sorted(different.items())[:10])
    assert not different, f"{len(different)} of {len(found)} differ\n{told}"
    assert {cell.name for cell, numbers in found.items() if numbers.numerator} == KPIS


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(center: Center, bug: Bug, tmp_path: Path) -> None:
    found = played(center, planted(bug, tmp_path), [bug.kpi], tmp_path)
    assert found
    expected = {cell: numbers for cell, numbers in center.expected.items() if cell.name == bug.kpi}
    assert differences(found, expected), f"not found: {bug.name}"
