"""What workers say of themselves: evidence that a fault has hit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.integration.process import Process


def total(workers: Iterable[Process], name: str, **labels: str) -> float:
    """Sum of a metric over workers that run, of samples that bear the labels."""
    wanted = set(labels.items())
    return sum(
        value
        for worker in workers
        if worker.running
        for (found, told), value in worker.metrics().items()
        if found == name and wanted <= {*told}
    )


def retries(workers: Iterable[Process]) -> Counter[str]:
    """How often inserts were tried again, by code of ClickHouse."""
    found: Counter[str] = Counter()
    for worker in workers:
        if worker.running:
            for (name, labels), value in worker.metrics().items():
                if name == "cx_sink_retries_total":
                    found[dict(labels)["code"]] += round(value)
    return found
