"""``make bench-peers``: the same work on other engines, beside the plain loop and the layer.

What a peer needs is installed once under ``.cache/bench-peers``, apart from the project's own
packages. A peer that cannot be installed or does not finish is named and left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console

from tests.bench.generator import Written
from tests.bench.harness import BenchError, Measurement, Worker, run
from tests.bench.layer import LAYER, PLAIN_LOOP
from tests.bench.report import Report, median_row

ROOT: Final = Path(__file__).resolve().parents[2]
HOME: Final = ROOT / ".cache" / "bench-peers"
STREAMS: Final = ROOT / "tests" / "bench" / "streams"
_TAIL: Final = 300


class Peer(NamedTuple):
    """A peer, what makes it ready, and how many events it gets at most: slow ones get fewer."""

    worker: Worker
    install: Callable[[], object]
    most_events: int = sys.maxsize


def _python_peer(
    name: str, module: str, guarantee: str, packages: tuple[str, ...], most_events: int
) -> Peer:
    home = HOME / module
    python = str(home / "bin" / "python")
    command = (python, "-m", f"tests.bench.workers.{module}")
    worker = Worker(name, command, guarantee, {"PYTHONPATH": str(ROOT)}, checked=False)

    def install() -> None:
        if (home / "installed").exists():
            return
        _call(sys.executable, "-m", "venv", str(home))
        _call(python, "-m", "pip", "install", "--quiet", "msgspec", *packages)
        (home / "installed").touch()

    return Peer(worker, install, most_events)


def _streams_peer(name: str, guarantee: str, processing: str, commit_ms: int) -> Peer:
    home = HOME / "streams"
    command = (
        "java", "-Xmx2g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp", f"{home}:{home}/jars/*", "StreamsBench", processing, str(commit_ms),
    )  # fmt: skip

    def install() -> None:
        if (home / "StreamsBench.class").exists():
            return
        for program in ("mvn", "javac", "java"):
            if shutil.which(program) is None:
                raise BenchError(f"no {program} on PATH")
        _call(
            "mvn", "--batch-mode", "--quiet", "--file", str(STREAMS / "pom.xml"),
            "dependency:copy-dependencies", f"-DoutputDirectory={home / 'jars'}",
        )  # fmt: skip
        source = str(STREAMS / "StreamsBench.java")
        _call("javac", "-cp", f"{home}/jars/*", "-d", str(home), source)

    return Peer(Worker(name, command, guarantee), install)


def _call(*command: str) -> None:
    """Run an installer. Raises :class:`BenchError` with the end of what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{command[0]}: {(done.stderr or done.stdout).strip()[-_TAIL:]}")


def _ready() -> None:
    """Nothing has to be installed."""


PEERS: Final = (
    Peer(PLAIN_LOOP, _ready),
    Peer(LAYER, _ready),
    _streams_peer(
        "Kafka Streams, at least once", "at-least-once, RocksDB, changelog", "at_least_once", 1000
    ),
    _streams_peer(
        "Kafka Streams, exactly once", "exactly once, RocksDB, changelog", "exactly_once_v2", 100
    ),
    _python_peer(
        "Bytewax, stateful_batch", "bytewax", "at-least-once, snapshot each 10 s",
        ("bytewax==0.21.1", "confluent-kafka"), sys.maxsize,
    ),
    _python_peer(
        "Quix Streams", "quix", "at-least-once, RocksDB, changelog",
        ("quixstreams==3.28.1",), 100_000,
    ),
    Peer(
        Worker(
            "stock Faust, table", (sys.executable, "-m", "tests.bench.workers.faust_table"),
            "at-least-once, changelog", checked=False,
        ),
        _ready, 20_000,
    ),
)  # fmt: skip


def measure(bootstrap: str, written: Written, runs: int, console: Console) -> Report:
    """Measure every peer that can be installed ``runs`` times, in rounds."""
    peers = [peer for peer in PEERS if _install(peer, console)]
    found: defaultdict[str, list[Measurement]] = defaultdict(list)
    for number in range(runs):
        for peer in peers:
            name = peer.worker.name
            if len(found[name]) < number:
                continue  # it failed before
            console.print(f"peers: round {number + 1} of {runs}: {name}")
            try:
                found[name].append(
                    run(peer.worker, bootstrap, "few", written.sums, most_events=peer.most_events)
                )
            except BenchError as failure:
                console.print(f"left out: {failure}", markup=False)
    yardstick = found[PLAIN_LOOP.name]
    rows = [
        median_row(peer.worker.name, "few", peer.worker.guarantee, runs_of_peer, yardstick)
        for peer in peers
        if (runs_of_peer := found[peer.worker.name])
    ]
    return Report.of("peers", written.sums.events, rows)


def _install(peer: Peer, console: Console) -> bool:
    try:
        peer.install()
    except BenchError as failure:
        console.print(f"left out: {peer.worker.name}: {failure}", markup=False)
        return False
    return True
