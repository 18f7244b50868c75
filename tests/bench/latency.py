"""How long an event takes to be read on ``/metrics``, and to be a row in ClickHouse.

One worker with all roles on a real Kafka. First a burst says how many events a second it sustains
on this machine at this minute; then a simulated center tells half as many, live, and beside it
every half second a probe: a contact that waits in a queue of its own. A probe has arrived on
``/metrics`` when the depth of that queue counts it, and in ClickHouse when its event is a row. Both
are looked for again and again, so what is told is at most one look too long. The exhibit is the
default one without its split, and a page of metrics is some 100 kB: it is written whole for every
look, so looking takes its share of the worker, in the burst, too.
"""

from __future__ import annotations

import http.client
import math
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import msgspec
from clickhouse_connect.driver.client import Client
from rich.console import Console

from pipeline.simulator import Simulator, SimulatorConfig
from tests.bench.generator import Written
from tests.bench.harness import BenchError
from tests.bench.product import EXHIBIT, Meter, center, is_ready
from tests.bench.report import Goal, Histogram, Report, median_row
from tests.integration.logs import GROUPS
from tests.integration.process import Process, wait_for
from tests.integration.site import Site, site
from tests.integration.warehouse import client_of
from tests.support.services import clickhouse_server

MINUTES: Final = float(os.environ.get("BENCH_MINUTES", "10"))
TICK_SECONDS: Final = float(os.environ.get("BENCH_TICK_SECONDS", "0.5"))
RATE: Final = float(os.environ.get("BENCH_RATE", "0"))
"""Events a second beside the probes; 0 for half of what the burst sustained."""
BURST_EVENTS: Final = 20_000
PROBE_SECONDS: Final = 0.5
GAUGE, ROW = "event to gauge", "event to ClickHouse row"
P50_SECONDS: Final = 0.5
P99_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 120.0
_WARM_UP_MS: Final = 60_000
_DRAIN_SECONDS: Final = 600.0

_PROBE_EXHIBIT: Final = """\
exhibit: probe
version: 1
where: {queue: [probe]}
windows: [all]
kpis: [{kpi: queue_depth}]
"""
_DEPTH: Final = re.compile(r'cx_exhibit_value\{[^}]*exhibit="probe"[^}]*\} (\S+)')


class Probes:
    """When each probe was told, and where it was seen when."""

    def __init__(self) -> None:
        self._told_at: list[float] = []
        self._seen_at: dict[str, dict[int, float]] = {GAUGE: {}, ROW: {}}

    def tell(self, place: Site) -> None:
        """Send the next one."""
        name = f"probe-{len(self._told_at):06d}"
        event = {
            "event_id": name, "kind": "queued", "source": "probe", "interaction_id": name,
            "channel": "voice", "queue": "probe", "occurred_at": datetime.now(UTC).isoformat(),
        }  # fmt: skip
        self._told_at.append(time.monotonic())
        place.produce(msgspec.json.encode(event), name.encode())

    def saw(self, where: str, number: int) -> None:
        """The first ``number`` probes are seen there."""
        now, seen = time.monotonic(), self._seen_at[where]
        for probe in range(len(seen), min(number, len(self._told_at))):
            seen[probe] = now

    def missing(self, where: str) -> int:
        """How many have not been seen there."""
        return len(self._told_at) - len(self._seen_at[where])

    def seconds(self, where: str) -> list[float]:
        """How long each took."""
        return [at - self._told_at[probe] for probe, at in self._seen_at[where].items()]


def measure(bootstrap: str, _written: Written, _runs: int, console: Console) -> Report:
    """Measure once, for ``BENCH_MINUTES`` with a tick each ``BENCH_TICK_SECONDS``."""
    folder = tempfile.TemporaryDirectory(prefix="bench-")
    probes = Probes()
    with folder as name, clickhouse_server() as clickhouse, site(
        bootstrap, Path(name), clickhouse=clickhouse, database="latency",
        exhibits=_exhibits(Path(name)),
    ) as place, client_of(clickhouse, "latency") as client:  # fmt: skip
        worker = place.worker(
            tuple(GROUPS), CXSTREAM_TICKS="wall", CXSTREAM_TICK_SECONDS=str(TICK_SECONDS)
        )
        wait_for(lambda: is_ready(place), "the worker to be ready", _PATIENCE_SECONDS)
        looks = {GAUGE: _look_at_metrics(worker), ROW: _look_at_rows(client)}
        with _looking(looks, probes):
            sustained = _burst(place, worker)
            rate = RATE or sustained / 2
            console.print(f"sustains {sustained:,.0f} events a second here; telling {rate:,.0f}")
            meter = Meter({"worker": worker})
            told = _tell(place, probes, rate)
            wait_for(
                lambda: not any(map(probes.missing, looks)), "the last probes", _PATIENCE_SECONDS
            )
        assert worker.running, worker.tail()
        measured = meter.read(told)["worker"]
    histograms = [Histogram.of(where, probes.seconds(where)) for where in (GAUGE, ROW)]
    form = f"at {rate:,.0f} events/s, a tick each {TICK_SECONDS:g} s"
    rows = [median_row("one worker", form, "", [measured])]
    return Report.of("latency", measured.events, rows, _goals(histograms), histograms)


def _exhibits(folder: Path) -> list[Path]:
    """The default exhibit, not split, and one that counts the probes."""
    texts = {"default": EXHIBIT.read_text().replace("by: [queue]\n", ""), "probe": _PROBE_EXHIBIT}
    found = []
    for name, text in texts.items():
        found.append(folder / f"{name}.yaml")
        found[-1].write_text(text)
    return found


def _burst(place: Site, worker: Process) -> float:
    """Events a second that go through all stages when they come at once."""
    records = center(BURST_EVENTS, time.time_ns() // 1_000_000)
    began = time.monotonic()
    for record in records:
        place.produce(record.value, record.key)
    place.flush()
    # Ticks go on all the while, so the logs never end: what is there when its writers are done.
    for role in place.roles:
        reads_all = partial(_has_read, place, role, place.ends(role))
        wait_for(reads_all, f"{role} to read what there is", _DRAIN_SECONDS)
    assert worker.running, worker.tail()
    return BURST_EVENTS / (time.monotonic() - began)


def _has_read(place: Site, role: str, ends: Mapping[tuple[str, int], int]) -> bool:
    committed = place.committed(role)
    return all(committed[partition] >= end for partition, end in ends.items())


def _tell(place: Site, probes: Probes, rate: float) -> int:
    """Tell so many events a second, and probes beside them; how many events."""
    began = next_probe = time.monotonic()
    told = 0
    for value, key in _live(rate):
        at = began + told / rate
        while (now := time.monotonic()) < at or now >= next_probe:
            if now >= next_probe:
                probes.tell(place)
                next_probe += PROBE_SECONDS
            place.producer.poll(min(max(at - now, 0.0), 0.05))
        if at - began > MINUTES * 60:
            break
        place.produce(value, key)
        told += 1
    place.flush()
    return told


def _live(rate: float) -> Iterator[tuple[bytes, bytes]]:
    """Events of a center from this moment on, with their keys, without the plans of its day."""
    now_ms = time.time_ns() // 1_000_000
    config = SimulatorConfig(events_per_second=rate, daily_curve=(1.0,) * 24, keep_truth=False)
    simulator = Simulator(config, 2, now_ms - _WARM_UP_MS, "l")
    for event in simulator.generate(now_ms + round(MINUTES * 60_000) * 2):
        at_ms = datetime.fromisoformat(event["occurred_at"]).timestamp() * 1000
        if at_ms >= now_ms and event["kind"] != "plan":
            yield msgspec.json.encode(event), str(event["interaction_id"]).encode()


@contextmanager
def _looking(looks: Mapping[str, Callable[[], int]], probes: Probes) -> Iterator[None]:
    """Look for probes everywhere at once, each place from a thread of its own."""
    stopped = threading.Event()
    failures: list[Exception] = []

    def look(where: str, seen: Callable[[], int]) -> None:
        try:
            while not stopped.wait(_LOOK_SECONDS):
                probes.saw(where, seen())
        except Exception as failure:  # noqa: BLE001 - told by whoever waits for this thread
            failures.append(failure)

    threads = [threading.Thread(target=look, args=told) for told in looks.items()]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    if failures:
        raise BenchError(f"a probe could not be looked for: {failures[0]!r}") from failures[0]


def _look_at_metrics(worker: Process) -> Callable[[], int]:
    """How many contacts wait in the probes' queue, as anybody scrapes it."""

    def look() -> int:
        connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=30)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        return max((int(float(found)) for found in _DEPTH.findall(text)), default=0)

    return look


def _look_at_rows(client: Client) -> Callable[[], int]:
    """How many probes are rows; the first that is not ends the count."""
    numbers = count()
    known = next(numbers)

    def look() -> int:
        nonlocal known
        answer = client.query(
            "SELECT DISTINCT event_id FROM interaction_events "
            "WHERE event_id >= {first:String} AND event_id < 'probe.'",
            parameters={"first": f"probe-{known:06d}"},
        )
        found = {row[0] for row in answer.result_rows}
        while f"probe-{known:06d}" in found:
            known = next(numbers)
        return known

    return look


def _goals(histograms: Sequence[Histogram]) -> list[Goal]:
    return [
        Goal(f"{found.name}, {name}, seconds", limit, value, at_most=True)
        for found in histograms
        for name, limit, value in (
            ("p50", P50_SECONDS, found.p50_seconds), ("p99", P99_SECONDS, found.p99_seconds),
        )
        if math.isfinite(value)
    ]  # fmt: skip
