"""Ties a foreign server to our life: ``python -m pipeline.embedded.supervisor PIDFILE COMMAND...``.

Servers such as Kafka and Prometheus do not watch their standard input. This small process does: it
runs the command, writes its process id to PIDFILE, and ends it when standard input closes, that is
when whoever started the supervisor stops it or dies. Should the supervisor itself be killed, the
kernel kills the server.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
STDIN: Final = 0
TERMINATE_GRACE_SECONDS: Final = 10.0


def run(pid_file: Path, command: list[str]) -> int:
    """Run the command until it ends or standard input closes; return its exit code."""
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    supervisor = os.getpid()

    def die_with_supervisor() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != supervisor:
                os._exit(1)

    # The lock of the folder is inherited on purpose: the folder is in use while the server lives.
    server = subprocess.Popen(  # noqa: S603 - the command is ours
        command,
        stdin=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=die_with_supervisor,  # noqa: PLW1509 - no other thread runs yet
    )
    pid_file.write_text(str(server.pid), encoding="ascii")
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
    return server.wait()


def _stop_at_end_of_input(server: subprocess.Popen[bytes]) -> None:
    # Not through sys.stdin: a thread that waits inside its buffer would break the exit of Python.
    while os.read(STDIN, 1):
        pass
    server.terminate()
    try:
        server.wait(TERMINATE_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2:]))
