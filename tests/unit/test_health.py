"""Alive and ready, judged by what the micro-batch layer tells; the clock is moved by hand."""

from __future__ import annotations

import http.client
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge

from pipeline.health import Health, Report
from pipeline.http_server import serve

ALIVE = Report(good=True)
P = ("fold", "words", 0)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    found = Health(60, clock)
    found.added("fold")
    return found


def later(health: Health, clock: Clock, seconds: float) -> None:
    """Time passes and the event loop turns."""
    clock.now += seconds
    health.beat()


def test_without_a_stage_nothing_is_ready(clock):
    assert Health(60, clock).ready() == Report(good=False, reasons=("no stage has started",))


def test_ready_once_assigned_and_restored(health):
    assert health.ready().reasons == ("fold: no partitions assigned yet",)
    health.assigned("fold", 1, 1)
    health.restoring(*P)
    assert health.ready().reasons == ("fold words[0]: restoring",)
    health.restored(*P, 7)
    assert health.ready() == ALIVE
    health.lost(*P)
    health.restoring(*P)
    assert not health.ready().good


def test_a_worker_that_was_given_nothing_is_ready(health):
    health.assigned("fold", 0, 4)
    assert health.ready() == ALIVE


def test_nothing_to_do_is_alive_for_ever(health, clock):
    health.restored(*P, 0)
    later(health, clock, 100_000)
    assert health.live() == ALIVE


def test_a_batch_may_take_the_budget_and_no_longer(health, clock):
    health.restored(*P, 0)
    later(health, clock, 500)
    health.began(*P)
    later(health, clock, 60)
    assert health.live() == ALIVE
    later(health, clock, 1)
    reason = "fold words[0]: a batch under way, no progress for 61 s"
    assert health.live() == Report(good=False, reasons=(reason,))
    health.committed(*P, 5)
    assert health.live() == ALIVE


def test_records_that_wait_must_be_taken(health, clock):
    health.restored(*P, 0)
    health.behind(*P, 300)
    later(health, clock, 40)
    health.behind(*P, 310)
    later(health, clock, 30)
    # 40 s + 30 s since the first of them came: that more came is no progress.
    assert health.live().reasons == ("fold words[0]: 310 records waiting, no progress for 70 s",)
    health.behind(*P, 0)
    assert health.live() == ALIVE


def test_a_long_restore_lives_while_it_reads_on(health, clock):
    for _ in range(10):
        health.restoring(*P)
        later(health, clock, 50)
    assert health.live() == ALIVE
    later(health, clock, 20)
    assert health.live().reasons == ("fold words[0]: restoring, no progress for 70 s",)
    health.restore_failed(*P, OSError("no broker"))
    assert health.live() == ALIVE


def test_whoever_tries_a_service_again_is_alive(health, clock):
    health.restored("sink.facts", "facts", 0, 0)
    health.began("sink.facts", "facts", 0)
    later(health, clock, 59)
    health.waits("sink.")
    later(health, clock, 59)
    assert health.live() == ALIVE
    later(health, clock, 2)
    assert not health.live().good


def test_an_event_loop_that_stands_is_not_alive(health, clock):
    clock.now += 61
    assert health.live().reasons == ("the event loop has not turned for 61 s",)


def test_a_lost_partition_is_nobodys_work(health, clock):
    health.restored(*P, 0)
    health.began(*P)
    health.lost(*P)
    # News of a partition that is gone changes nothing.
    health.committed(*P, 1)
    health.behind(*P, 9)
    later(health, clock, 1_000)
    assert health.live() == ALIVE


# --- over HTTP ------------------------------------------------------------------------------------

COMMAND = Path(sys.executable).with_name("cxstream")


@pytest.fixture
def port() -> int:
    registry = CollectorRegistry()
    Gauge("answer", "An answer.", registry=registry).set(42)
    stuck = Report(good=False, reasons=("one: stuck", "two: stuck"))
    return serve("127.0.0.1", 0, registry, {"live": lambda: stuck, "ready": lambda: ALIVE})


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_pages(port):
    assert get(port, "/health/ready") == (200, "ok\n")
    assert get(port, "/health/live") == (503, "one: stuck\ntwo: stuck\n")
    status, text = get(port, "/metrics")
    assert (status, "answer 42.0\n" in text) == (200, True)
    for path in ("/", "/health/", "/health/other", "/live", "/metrics/live"):
        assert get(port, path)[0] == 404


@pytest.mark.parametrize(
    ("path", "code", "told"),
    [
        ("health/ready", 0, "ok\n"),
        ("health/live", 1, "503 one: stuck\ntwo: stuck\n"),
        ("elsewhere", 1, "404 no such page\n"),
    ],
)
def test_the_command(port, path, code, told):
    url = f"http://127.0.0.1:{port}/{path}"
    done = subprocess.run([COMMAND, "health", url], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert (done.stdout + done.stderr).endswith(told)


def test_the_command_without_a_worker():
    url = "http://127.0.0.1:1/health/live"
    done = subprocess.run([COMMAND, "health", url], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    done = subprocess.run([COMMAND, "health", "live"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
