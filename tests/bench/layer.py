"""The micro-batch layer beside the plainest loop that does the same work, and beside stock Faust.

Runs of the contestants alternate, and each is compared with the yardstick's run of its round:
absolute figures are this machine's and this minute's.
"""

from __future__ import annotations

from collections import defaultdict

from rich.console import Console

from tests.bench.generator import Written, fill_changelog
from tests.bench.harness import Measurement, Worker, run, run_task
from tests.bench.report import Goal, Report, Row, median_row
from tests.bench.work import FORMS, Task

PLAIN_LOOP = Worker.of_module("plain loop", "loop", "at-least-once output, no restore")
LAYER = Worker.of_module("micro-batch layer", "layer", "exactly once, restore, rebalances")
RESTORE = Worker.of_module("restore", "restore", "")
STOCK_FAUST = Worker.of_module("stock Faust, plain dict", "faust", "offsets only, no changelog")
READERS = tuple(
    Worker.of_module(f"reading: {name}", "read", "", argument)
    for name, argument in (
        ("librdkafka", "librdkafka"), ("aiokafka's getmany", "getmany"), ("the layer", "layer"),
    )
)  # fmt: skip

RESTORED_KEYS = 1_000_000
FAUST_EVENTS = 20_000
CHANGELOG = "bench.changelog"

Runs = dict[tuple[str, str], list[Measurement]]


def measure(bootstrap: str, written: Written, runs: int, console: Console) -> Report:
    """Measure everything ``runs`` times over."""
    found: Runs = defaultdict(list)
    sums, few = written.sums, FORMS["few"]
    fill_changelog(bootstrap, CHANGELOG, min(RESTORED_KEYS, sums.events))

    def keep(name: str, form: str, measured: Measurement) -> None:
        found[name, form].append(measured)
        console.print(f"{name}, {form}: {measured.cpu_us:.2f} CPU s/M")

    for number in range(runs):
        console.print(f"layer: round {number + 1} of {runs}")
        for form in FORMS:
            for worker in (PLAIN_LOOP, LAYER):
                keep(worker.name, form, run(worker, bootstrap, form, sums))
        keep("two workers", "few", run(LAYER, bootstrap, "few", sums, processes=2))
        restore = Task(
            bootstrap, few.topic, CHANGELOG, f"restore-{number}",
            by_customer=False, window_ms=few.window_ms, events=0,
        )  # fmt: skip
        keep(RESTORE.name, "keys", run_task(RESTORE, restore))
        read = restore._replace(group=f"read-{number}", events=sums.events)
        for worker in READERS:
            keep(worker.name, "few", run_task(worker, read))
        faust = restore._replace(group=f"faust-{number}", events=min(FAUST_EVENTS, sums.events))
        keep(STOCK_FAUST.name, "few", run_task(STOCK_FAUST, faust))
    rows = _rows(found)
    # Load of others only lowers a rate on the wall clock, so the best run counts.
    restored = max(run.rate for run in found[RESTORE.name, "keys"])
    return Report.of("layer", sums.events, rows, _goals(rows, restored))


def _rows(found: Runs) -> list[Row]:
    few, many = found[PLAIN_LOOP.name, "few"], found[PLAIN_LOOP.name, "many"]

    def row(worker: Worker, form: str, yardstick: list[Measurement] | None) -> Row:
        runs = found[worker.name, form]
        return median_row(worker.name, form, worker.guarantee, runs, yardstick)

    return [
        row(PLAIN_LOOP, "few", few),
        row(LAYER, "few", few),
        median_row("two workers", "few", LAYER.guarantee, found["two workers", "few"], few),
        row(STOCK_FAUST, "few", few),
        *(row(worker, "few", few) for worker in READERS),
        row(PLAIN_LOOP, "many", many),
        row(LAYER, "many", many),
        row(PLAIN_LOOP, "spread", found[PLAIN_LOOP.name, "spread"]),
        row(LAYER, "spread", found[PLAIN_LOOP.name, "spread"]),
        row(RESTORE, "keys", None),
    ]


def _goals(rows: list[Row], keys_a_second: float) -> list[Goal]:
    by_name = {(row.name, row.form): row for row in rows}
    few, many = by_name[LAYER.name, "few"], by_name[LAYER.name, "many"]
    two, stock = by_name["two workers", "few"], by_name[STOCK_FAUST.name, "few"]
    spread = by_name[LAYER.name, "spread"]
    return [
        Goal("CPU over the plain loop's, few keys", 1.7, few.ratio or 0.0, at_most=True),
        Goal("CPU over the plain loop's, many keys", 1.3, many.ratio or 0.0, at_most=True),
        Goal("CPU over the plain loop's, 64 partitions", 1.7, spread.ratio or 0.0, at_most=True),
        Goal("CPU of two workers over one's", 1.1, _paired(two, few), at_most=True),
        Goal("keys restored a second", 150_000.0, keys_a_second, at_most=False),
        Goal("CPU of stock Faust over the layer's", 20.0, _paired(stock, few), at_most=False),
    ]


def _paired(one: Row, other: Row) -> float:
    """Ratio of two contestants, by way of the yardstick beside each of their runs."""
    return (one.ratio or 0.0) / (other.ratio or 1.0)
