"""Workers as processes of their own, seen from outside, and waiting for what they do."""

from __future__ import annotations

import http.client
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from pipeline.embedded.process import free_ports


def wait_for(
    condition: Callable[[], Any], what: str, seconds: float, pause_seconds: float = 0.2
) -> Any:
    """Return the first true value of ``condition``.

    Raises:
        AssertionError: it did not come true in time.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for {what}")
        time.sleep(pause_seconds)
    return found


class Process:
    """One ``cxstream worker``."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        (self.port,) = free_ports(1)
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                env={**environment, "CXSTREAM_METRICS_PORT": str(self.port)},
                stdout=out,
                stderr=out,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def status(self) -> str:
        """What the system says of it, such as ``stopped``."""
        return str(self.system.status())

    @property
    def system(self) -> psutil.Process:
        """What the system knows of it: its memory, the time it used."""
        return psutil.Process(self._process.pid)

    @property
    def target(self) -> str:
        """Where Prometheus finds its metrics."""
        return f"127.0.0.1:{self.port}"

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait(10)

    def stop(self, seconds: float = 25.0) -> int:
        """End it with SIGTERM; its exit code."""
        if self.running:
            self._process.terminate()
        return self.wait(seconds)

    def wait(self, seconds: float) -> int:
        """Wait until it ended by itself; its exit code, negative for a signal."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
            raise AssertionError(f"a worker did not end: {self.tail()}") from None

    def tail(self) -> str:
        """End of its log."""
        return self.log.read_text("utf-8", "replace")[-3_000:]

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Samples by name and labels, as anybody scrapes them; none while it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        except OSError:
            return {}
        finally:
            connection.close()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def metric(self, name: str, **labels: str) -> float:
        """One sample, 0 where there is none."""
        return self.metrics().get((name, tuple(sorted(labels.items()))), 0.0)
