"""Numbers are a function of events and ticks: no clock, timer or chance where they are made."""

from __future__ import annotations

import ast
import filecmp
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PURE = ("pipeline/kpi", "pipeline/folds", "pipeline/stages", "agents")

FORBIDDEN = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter",
    "time.perf_counter_ns", "time.localtime", "time.gmtime", "time.ctime", "time.sleep",
    "time.strftime", "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today",
    "datetime.date.today", "asyncio.sleep", "asyncio.wait_for", "asyncio.timeout",
    "asyncio.timeout_at", "uuid.uuid1", "uuid.uuid4", "os.urandom",
}  # fmt: skip
FORBIDDEN_MODULES = {"random", "secrets"}
FORBIDDEN_METHODS = {"call_later", "call_at", "timer", "crontab"}


def wall_clocks(source: str) -> list[str]:
    """What in ``source`` reads a clock, waits for one, or is left to chance, with its line."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    found += [name for name in names.values() if name.partition(".")[0] in FORBIDDEN_MODULES]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = _dotted(node, names)
            if name in FORBIDDEN or node.attr in FORBIDDEN_METHODS:
                found.append(f"{name or node.attr} in line {node.lineno}")
        elif isinstance(node, ast.Name) and names.get(node.id) in FORBIDDEN:
            found.append(f"{names[node.id]} in line {node.lineno}")
    return found


def _dotted(node: ast.Attribute, names: dict[str, str]) -> str | None:
    parts = [node.attr]
    inner = node.value
    while isinstance(inner, ast.Attribute):
        parts.append(inner.attr)
        inner = inner.value
    if not isinstance(inner, ast.Name) or inner.id not in names:
        return None
    return ".".join([names[inner.id], *reversed(parts)])


@pytest.mark.parametrize("folder", PURE)
def test_no_wall_clock_where_numbers_are_made(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    found = {str(file.relative_to(ROOT)): wall_clocks(file.read_text("utf-8")) for file in files}
    assert {name: clocks for name, clocks in found.items() if clocks} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time as t\nt.time_ns()",
        "from time import monotonic\nmonotonic()",
        "from time import time as now\nread = now",
        "from datetime import datetime\ndatetime.now(UTC)",
        "import datetime\ndatetime.datetime.utcnow()",
        "import datetime as dt\ndt.date.today()",
        "import asyncio\nasync def f():\n    await asyncio.sleep(1)",
        "import asyncio\nasyncio.get_running_loop().call_later(1, f)",
        "import random",
        "from random import choice",
        "from secrets import token_hex",
        "@app.timer(1.0)\nasync def f(): ...",
    ],
)
def test_the_rule_finds_them(source):
    assert wall_clocks(source)


def test_the_rule_lets_times_of_events_be():
    source = "from datetime import UTC, datetime\ndatetime.fromtimestamp(1, UTC)\nclock.time(fact)"
    assert wall_clocks(source) == []


# --- the same log at other times ------------------------------------------------------------------

# The clock is moved by libfaketime, below Python, so extension modules and librdkafka see it, too.
# Only what measures spans stays real, or timeouts of threads would hang; and the times of files,
# which are input.
FAKE = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}

EVENTS = [
    {"event_id": "1", "kind": "queued", "occurred_at": "2026-03-02T09:00:00Z"},
    {"event_id": "2", "kind": "accepted", "occurred_at": "2026-03-02T09:00:15Z",
     "performer_id": "ann"},
    {"event_id": "3", "kind": "completed", "occurred_at": "2026-03-02T09:05:00Z",
     "ended_by": "customer"},
    {"event_id": "4", "kind": "queued", "occurred_at": "2026-03-02T09:07:00Z",
     "interaction_id": "k2"},
]  # fmt: skip


def replay(log: Path, output: Path, emit: str, moment: str | None) -> None:
    cxstream = Path(sys.executable).parent / "cxstream"
    command = [cxstream, "replay", "--platform=interactions", "--json", f"--emit={emit}", log]
    if moment is not None:
        command = ["faketime", moment, *command]
    with output.open("wb") as out:
        subprocess.run(command, stdout=out, check=True, env={**os.environ, **FAKE}, timeout=120)


def test_a_replay_gives_the_same_bytes_in_1999_and_in_2099(tmp_path):
    if shutil.which("faketime") is None:
        if os.environ.get("CI") == "true" or os.geteuid() == 0:
            pytest.fail("faketime is missing: apt-get install faketime")
        pytest.skip("faketime is missing")
    shown = subprocess.check_output(["faketime", "1999-01-01 12:00:00", "date", "+%Y"])
    assert shown == b"1999\n"
    log = tmp_path / "events.jsonl"
    common = {"source": "test", "interaction_id": "k1", "channel": "voice", "queue": "q",
              "customer": "c"}  # fmt: skip
    log.write_text("".join(json.dumps({**common, **event}) + "\n" for event in EVENTS))
    for emit in ("values", "facts"):
        for year in ("1999", "2099"):
            replay(log, tmp_path / f"{emit}-{year}", emit, f"{year}-01-01 00:00:00")
        assert (tmp_path / f"{emit}-1999").stat().st_size > 1000
        assert filecmp.cmp(tmp_path / f"{emit}-1999", tmp_path / f"{emit}-2099", shallow=False)
    replay(log, tmp_path / "now", "values", None)
    assert filecmp.cmp(tmp_path / "values-1999", tmp_path / "now", shallow=False)
