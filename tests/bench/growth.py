"""What the exhibits stage costs as an exhibit grows, in memory: no Kafka, no network, one thread.

A simulated center goes through all stages for each exhibit. The sources of the exhibits stage tell
side by side, as they do when a worker keeps up: all that belongs to one tick of all of them is one
batch. CPU is that of this thread.

    python -m tests.bench.growth --kpis 1 31 128 200 --by channel queue
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from pipeline.kpi import catalogue
from pipeline.microbatch.garbage import tune_garbage_collection
from pipeline.stages.configuration import Configuration
from pipeline.stages.wire import TICK, control_kind, decode_tick
from schemas.exhibit import Exhibit
from schemas.exhibit_file import load_exhibit
from schemas.topics import CONTACTS, INTERACTIONS, PARTIALS, PERFORMANCES
from tests.bench import stages
from tests.bench.stages import RAW, Checkpoint, Memory, Message

DEFAULT: Final = Path("schemas/exhibits/default.yaml")
BATCH: Final = 5_000
WINDOWS: Final = ("5m", "15m", "1h", "today", {"tumbling": "30m"}, "all")
"""Those of the default exhibit."""


class Cost(NamedTuple):
    """What a log of shares cost the exhibits stage."""

    seconds: float
    slowest_tick_seconds: float
    values: int
    held: int


def exhibit_of(kpis: int, by: Iterable[str]) -> Exhibit:
    """The first ``kpis`` KPIs of the catalogue, from the first on again where they do not last."""
    names = list(catalogue.load().definitions)
    entries = [
        {"kpi": names[number % len(names)], "as": f"{names[number % len(names)]}_{number}"}
        | _needed(names[number % len(names)])
        for number in range(kpis)
    ]
    told = {"exhibit": "growth", "by": list(by), "windows": list(WINDOWS), "kpis": entries}
    return load_exhibit(json.dumps(told), f"{kpis} KPIs")


def _needed(kpi: str) -> dict[str, dict[str, str]]:
    """What has no default."""
    versions = {"measure": "fully_grounded", "baseline": "v1", "candidate": "v2"}
    return {"parameters": versions} if kpi == "model_version_difference" else {}


def shares_of(exhibits: Configuration, raw: list[Message]) -> list[list[Message]]:
    """What all sources tell of the events of ``raw``, by tick."""
    memory = Memory()
    parts = []
    for stage, topic in (
        ("intake", RAW), ("lifecycle", INTERACTIONS), ("journeys", CONTACTS),
        ("performers", PERFORMANCES),
    ):  # fmt: skip
        log = raw if stage == "intake" else list(memory.logs[topic])
        if stage == "lifecycle":
            log = list(stages.with_ticks(log))
        told = len(memory.logs[PARTIALS])
        stages.drive(stage, memory, log, BATCH if stage == "intake" else 100, exhibits)
        parts.append(list(by_tick(memory.logs[PARTIALS][told:])))
    found: defaultdict[int, list[Message]] = defaultdict(list)
    for part in parts:
        for tick_ms, records in part:
            found[tick_ms] += records
    return [found[tick_ms] for tick_ms in sorted(found)]


def by_tick(log: Iterable[Message]) -> Iterator[tuple[int, list[Message]]]:
    """The records of one source up to each of its ticks."""
    records: list[Message] = []
    for record in log:
        records.append(record)
        if record.headers and control_kind(record.headers) == TICK:
            yield decode_tick(record.value or b"").tick_ms, records
            records = []


def cost_of(exhibits: Configuration, ticks: Iterable[list[Message]]) -> Cost:
    """Let the exhibits stage read what all sources tell, a batch a tick."""
    state: dict[bytes, bytes] = {}
    memory = Memory()
    owned = stages.memory_of("exhibits", exhibits, state)
    values = 0
    spent = []
    for records in ticks:
        began = time.thread_time()
        checkpoint = Checkpoint(memory, state, records[-1].timestamp)
        stages.process("exhibits", owned, records, checkpoint)
        checkpoint.commit()
        spent.append(time.thread_time() - began)
        values += len(checkpoint.overlay)
    return Cost(sum(spent), max(spent), values, len(state))


def main() -> None:
    """Print the cost of each exhibit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--kpis", type=int, nargs="+", default=[1, 31, 128, 200])
    parser.add_argument("--by", nargs="*", default=["channel", "queue"])
    chosen = parser.parse_args()
    tune_garbage_collection()
    raw = stages.raw_log(chosen.minutes, chosen.rate)
    table = Table(
        "exhibit", "KPIs", "us/event", "us/value", "values/event", "values held", "slowest tick, s"
    )
    default = load_exhibit(DEFAULT.read_text(), DEFAULT.name)
    for name, exhibit in (
        ("default", default), *(("by " + ", ".join(chosen.by), exhibit_of(kpis, chosen.by))
        for kpis in chosen.kpis),
    ):  # fmt: skip
        exhibits = Configuration.of([exhibit])
        cost = cost_of(exhibits, shares_of(exhibits, raw))
        table.add_row(
            name, str(len(exhibit.kpis)), f"{cost.seconds / len(raw) * 1e6:.1f}",
            f"{cost.seconds / max(cost.values, 1) * 1e6:.1f}", f"{cost.values / len(raw):.2f}",
            str(cost.held), f"{cost.slowest_tick_seconds:.2f}",
        )  # fmt: skip
    Console(width=120).print(table, f"{len(raw)} events")


if __name__ == "__main__":
    main()
