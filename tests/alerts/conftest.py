"""One installation whose alerts are watched: workers, a simulated center, a clock, a Prometheus."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from pipeline.embedded.prometheus import PrometheusServer
from pipeline.ops.alerts import Scale
from pipeline.ops.files import RULES, made
from schemas.exhibit_file import load_exhibit
from tests.integration.process import Process, wait_for
from tests.integration.site import Site, site
from tests.support.services import clickhouse_server, kafka_server, prometheus_server

DATABASE = "alerts"
SCALE = Scale(1 / 60)
"""An hour is a minute, five minutes are five seconds."""

EXHIBIT = """
exhibit: desk
by: [queue]
windows: [5m, 1h]
kpis:
  - {kpi: offered}
  - {kpi: queue_depth, target: "<= 200"}
"""
CORE = ("intake", "lifecycle", "journeys", "performers")
SESSION_TIMEOUT_MS = 20_000
"""A worker that stands still keeps its partitions for so long."""


class Door:
    """A way to a server on this machine that can be shut: what comes then is refused."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.open()

    def open(self) -> None:
        """Let connections through."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Cut what is open, and refuse what comes."""
        if self._listener is not None:
            # Closing alone does not wake whoever accepts.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._open += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=pair, daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


class LogClock:
    """Writes the ticks of the log each second, ``lag_ms`` behind now; it never goes back."""

    def __init__(self, place: Site) -> None:
        self._place = place
        self._last_ms = 0
        self._ends = threading.Event()
        self.runs = True
        self.lag_ms = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ends.wait(1.0):
            at_ms = (time.time_ns() // 1_000_000 - self.lag_ms) // 1_000 * 1_000
            if self.runs and at_ms > self._last_ms:
                self._last_ms = at_ms
                self._place.tick(at_ms, complete=False, publish_all=False)

    def close(self) -> None:
        """Write no more."""
        self._ends.set()
        self._thread.join(10)


class Center:
    """``cxstream simulate`` on the wall clock."""

    def __init__(self, place: Site) -> None:
        command = Path(sys.executable).with_name("cxstream")
        with (place.folder / "center.log").open("wb") as out:
            self._process = subprocess.Popen(
                [str(command), "simulate", "--rate", "15", "--bootstrap", place.bootstrap],
                env=place.environment, stdout=out, stderr=out,
            )  # fmt: skip

    def stand_still(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.go_on()
        self._process.kill()
        self._process.wait(10)


class Watched:
    """An installation and the alerts on it."""

    def __init__(
        self, place: Site, clickhouse: EmbeddedClickHouse, door: Door, prometheus: PrometheusServer
    ) -> None:
        self.place = place
        self.clickhouse = clickhouse
        self.door = door
        self.prometheus = prometheus
        self.flags = place.folder / "flags"
        self.flags.mkdir()
        self.clock = LogClock(place)
        self.center = Center(place)
        self.workers: dict[str, Process] = {}
        self._numbers = iter(range(10**9))

    def start(self, name: str, roles: tuple[str, ...], **given: Any) -> Process:
        """Start a worker, and have it scraped."""
        self.workers[name] = self.place.worker(roles, **given)
        self.scrape_all()
        return self.workers[name]

    def forget(self, name: str) -> None:
        """A worker is gone for good."""
        del self.workers[name]
        self.scrape_all()

    def scrape_all(self) -> None:
        """Scrape every worker that is known."""
        self.prometheus.scrape([worker.target for worker in self.workers.values()])

    def happen(self, kind: str, interaction: str, ahead_seconds: float = 0, **fields: str) -> None:
        """Let something happen now, or be told to happen later."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ahead_seconds))
        event = {
            "event_id": f"{interaction}-{kind}-{next(self._numbers)}", "kind": kind,
            "source": "pbx", "occurred_at": at, "interaction_id": interaction, "channel": "voice",
            "queue": "storm", **fields,
        }  # fmt: skip
        self.place.produce(json.dumps(event).encode(), interaction.encode())

    def names(self) -> set[str]:
        """Alerts that fire now."""
        return {labels["alertname"] for labels in self.prometheus.firing()}

    def fires(self, name: str, seconds: float = 180, **labels: str) -> None:
        """Wait until an alert fires, with these labels."""
        wait_for(
            lambda: any(
                {"alertname": name, **labels}.items() <= told.items()
                for told in self.prometheus.firing()
            ),
            f"{name} to fire; these do: {sorted(self.names())}", seconds, pause_seconds=0.5,
        )  # fmt: skip

    def clears(self, *names: str, seconds: float = 150) -> None:
        """Wait until none of these fires."""
        wait_for(
            lambda: not {*names} & self.names(), f"{names} to clear", seconds, pause_seconds=0.5
        )

    def quiet(self, seconds: float = 300) -> None:
        """Wait until nothing has fired for ten seconds."""
        since = time.monotonic()

        def calm() -> bool:
            nonlocal since
            if self.prometheus.firing():
                since = time.monotonic()
            return time.monotonic() - since > 10

        wait_for(calm, "silence", seconds, pause_seconds=0.5)


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    with kafka_server() as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[EmbeddedClickHouse]:
    with clickhouse_server() as server:
        yield server


@pytest.fixture(scope="session")
def watched(
    kafka: KafkaServer, clickhouse: EmbeddedClickHouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("alerts")
    exhibit = folder / "desk.yaml"
    exhibit.write_text(EXHIBIT, "utf-8")
    rules = []
    for name, text in made([load_exhibit(EXHIBIT)], SCALE).items():
        if name.startswith(RULES):
            rules.append(folder / Path(name).name)
            rules[-1].write_text(text, "utf-8")
    door = Door(clickhouse.http_port)
    with (
        site(
            kafka.bootstrap, folder, clickhouse=clickhouse, database=DATABASE, exhibits=[exhibit],
            session_timeout_ms=SESSION_TIMEOUT_MS,
        ) as place,
        prometheus_server([], rule_files=rules) as prometheus,
    ):  # fmt: skip
        place.environment["CXSTREAM_CLICKHOUSE_PORT"] = str(door.port)
        place.environment["CXSTREAM_LINGER_SECONDS"] = "5"
        place.environment["CXSTREAM_HEARTBEAT_SECONDS"] = "1"
        found = Watched(place, clickhouse, door, prometheus)
        try:
            found.start("core", CORE)
            found.start("exhibits", ("exhibits",))
            found.start("sink", ("sink",))
            yield found
        finally:
            found.center.close()
            found.clock.close()
            door.shut()


def spoiling(flags: Path, code: str) -> str:
    """Code that runs in a worker first; it may ask whether a flag is up."""
    return f"from pathlib import Path\nFLAGS = Path({os.fspath(flags)!r})\n{code}"
