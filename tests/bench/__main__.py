"""``make bench``: what a message costs, part by part, on a real Kafka.

Broker and workers are pinned to cores of their own. Each part prints a table and writes
``var/bench/<part>.json``; a goal that was missed gives exit code 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Final

from rich.console import Console

from pipeline.embedded.kafka import KafkaServer
from tests.bench import latency, layer, peers, product, sink
from tests.bench.generator import Written, fill
from tests.bench.harness import WORKER_CORE
from tests.bench.report import Report
from tests.bench.work import Sums
from tests.support.services import kafka_server

Part = Callable[[str, Written, int, Console], Report]
PARTS: Final[dict[str, Part]] = {
    "layer": layer.measure,
    "product": product.measure,
    "sink": sink.measure,
    "latency": latency.measure,
    "peers": peers.measure,
}
DEFAULT_PARTS: Final = ("layer", "product", "sink")
BY_EVENTS: Final = frozenset(("layer", "product", "peers"))
"""Parts that read the events of the work."""
BROKER_PROPERTIES: Final = {
    # Two workers that start together are in one generation, as they are in a running group.
    "group.initial.rebalance.delay.ms": "2000",
}


def pin_away(kafka: KafkaServer) -> None:
    """Leave the workers' core to them, where there is another."""
    others = sorted(os.sched_getaffinity(0) - {WORKER_CORE})
    if others:
        cores = ",".join(map(str, others))
        os.sched_setaffinity(0, others)
        subprocess.run(
            ["taskset", "--all-tasks", "--cpu-list", "--pid", cores, str(kafka.pid)],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip


def main() -> None:
    """Measure the parts that were asked for; ``DEFAULT_PARTS`` unless told."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--events", type=int, default=2_000_000, help="events of the full work")
    parser.add_argument("--runs", type=int, default=3, help="runs of each contestant")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    console = Console(width=120)
    reports = []
    with kafka_server(properties=BROKER_PROPERTIES) as kafka:
        pin_away(kafka)
        parts = options.parts or DEFAULT_PARTS
        written = Written(Sums(0, 0.0, 0, 0), 0.0)
        if BY_EVENTS & {*parts}:
            console.print(f"writing {options.events:,} events to each topic")
            written = fill(kafka.bootstrap, options.events)
        for name in parts:
            report = PARTS[name](kafka.bootstrap, written, options.runs, console)
            report.show(console)
            console.print(f"written to {report.write()}")
            reports.append(report)
    sys.exit(any(not goal.reached for report in reports for goal in report.goals))


if __name__ == "__main__":
    main()
