"""Monitoring is gone, asks too often, or is to be drowned in labels. Counting goes on.

That Prometheus is gone is what every other trial is: nobody scrapes there.
"""

from __future__ import annotations

import json
import threading
from collections import Counter

import pytest

from tests.faults.checker import Outcome
from tests.faults.conftest import SEED, Begin
from tests.faults.load import Load, load
from tests.faults.signs import total
from tests.integration.process import Process, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

SCRAPERS = 8
SCRAPES = 200
MOST_CELLS = 50


def test_a_storm_of_scrapes_changes_nothing(begin: Begin, reference: Outcome) -> None:
    with begin("scrape storm") as faulty:
        worker = faulty.start()
        ended = threading.Event()
        counted: Counter[str] = Counter()

        def scrape() -> None:
            while not ended.is_set():
                counted["scrapes" if worker.metrics() else "unanswered"] += 1

        storm = [threading.Thread(target=scrape) for _ in range(SCRAPERS)]
        for one in storm:
            one.start()
        try:
            faulty.feed()
            wait_for(lambda: counted["scrapes"] > SCRAPES, "a storm", 90)
        finally:
            ended.set()
            for one in storm:
                one.join()
        assert counted["unanswered"] == 0
        faulty.evidence["scrapes"] = counted["scrapes"]
        faulty.finish(reference, "scrapes")


def _invented(found: Load, every: int) -> Load:
    """One contact in ``every`` names a queue and a source that nobody has heard of."""
    records = []
    for record in found.records:
        if record.event_id:
            event = json.loads(record.value or b"")
            name = event["interaction_id"]
            if event.get("queue") and hash_of(name) % every == 0:
                event |= {"queue": f"queue {name}", "source": f"source {name}"}
                record = record._replace(value=json.dumps(event).encode())  # noqa: PLW2901
        records.append(record)
    return found._replace(records=tuple(records))


def hash_of(name: str) -> int:
    """The same number in every process."""
    return sum(name.encode())


def queues(worker: Process, name: str) -> set[str]:
    return {dict(labels)["queue"] for found, labels in worker.metrics() if found == name}


def test_invented_queues_do_not_become_labels_without_end(begin: Begin) -> None:
    """They are counted and stored all the same, which the judgement of the trial shows."""
    invented = _invented(load(SEED, 1_500), 2)
    with begin(
        "invented queues", invented, environment={"CXSTREAM_METRICS_CELLS": str(MOST_CELLS)}
    ) as faulty:
        worker = faulty.start()
        outcome = faulty.finish(None)
        cells = {cell.queue for cell in outcome.values}
        assert len(cells) > 2 * MOST_CELLS
        assert len(queues(worker, "cx_exhibit_value")) <= MOST_CELLS
        assert "*" in queues(worker, "cx_exhibit_value")
        hidden = total([worker], "cx_exhibit_hidden_cells", exhibit="truth")
        assert hidden > MOST_CELLS
        assert len(queues(worker, "cx_last_event_timestamp_seconds")) <= 502
