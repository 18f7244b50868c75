"""Helpers for tests that kill processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]


def start_and_orphan(starter: str, folder: Path) -> psutil.Process:
    """Run ``starter`` in a Python of its own, kill that Python with SIGKILL, return the server.

    ``starter`` is code that, given ``folder``, leaves a running service in ``server``.
    """
    code = f"""
import signal, sys
from pathlib import Path
folder = Path(sys.argv[1])
{starter}
print(server.pid, flush=True)
signal.pause()
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, env=environment
    ) as parent:
        try:
            assert parent.stdout is not None
            return psutil.Process(int(parent.stdout.readline()))
        finally:
            parent.kill()


def assert_gone(process: psutil.Process, within_seconds: float) -> None:
    """Wait for the end of a process that is not a child of ours."""
    _, alive = psutil.wait_procs([process], within_seconds)
    assert alive == []
