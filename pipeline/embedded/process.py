"""Child processes of the embedded services: start, wait until ready, never leave one behind.

Every child holds the read end of a pipe whose write end only this process has. When this process
ends, however it ends, the pipe closes and the child stops. A lock file that the child inherits
says whether a folder is in use: it is free exactly when the child is gone.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import IO, Final

LOCK_FILE: Final = "lock"
LOG_TAIL_BYTES: Final = 3000
POLL_SECONDS: Final = 0.02
LOCK_WAIT_SECONDS: Final = 5.0
"""A folder whose owner was just killed is released within this time, or it is really in use."""

_PACKAGE_ROOT: Final = Path(__file__).resolve().parents[2]


class ServiceError(RuntimeError):
    """An embedded service is missing, did not start, refused, or its folder is in use."""


class ServiceMissing(ServiceError):  # noqa: N818 - says what is the matter
    """What an embedded service is made of is not installed here."""


def free_ports(count: int) -> list[int]:
    """Return ``count`` different TCP ports nobody listens on at 127.0.0.1 right now."""
    with ExitStack() as stack:
        # All are held together, so that no port is given twice.
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def port_open(port: int) -> bool:
    """Tell whether something accepts connections at 127.0.0.1:``port``."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def wait_until(
    ready: Callable[[], bool],
    timeout_seconds: float,
    what: str,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Wait until ``ready()``, asking again every :data:`POLL_SECONDS`.

    Args:
        ready: the condition.
        timeout_seconds: for how long.
        what: subject of the message, such as "Kafka".
        pause: waits between two questions; may raise to give up early.

    Raises:
        ServiceError: the time is over.
    """
    deadline = time.monotonic() + timeout_seconds
    while not ready():
        if time.monotonic() > deadline:
            raise ServiceError(f"{what} was not ready within {timeout_seconds:g} s")
        pause(POLL_SECONDS)


def http_ok(port: int, path: str, headers: Mapping[str, str] | None = None) -> bool:
    """Tell whether http://127.0.0.1:``port````path`` answers 200 within a second."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path, headers=headers or {})
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def python_module(module: str, *arguments: str) -> list[str]:
    """Command line that runs a module of this project with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


class ChildProcess:
    """A server process bound to a folder and to the life of this process.

    Args:
        name: what to call it in messages.
        command: command line; the child must end when its standard input does.
        folder: working folder, made if missing, used by one child at a time.
        log: file in the folder that takes standard output and error of this run.
        prepare: writes what the child reads at its start, once the folder is surely ours.

    Raises:
        ServiceError: another child runs in this folder, or the command cannot be run.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        log: str,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.log_path = folder / log
        folder.mkdir(parents=True, exist_ok=True)
        environment = dict(os.environ)
        search = [str(_PACKAGE_ROOT), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, search))
        with _locked(folder, name) as lock, self.log_path.open("wb") as output:
            prepare()
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                    list(command),
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=[lock.fileno()],
                    # Ctrl-C in a terminal is for us: we stop the child when we are done with it.
                    start_new_session=True,
                )
            except OSError as error:
                raise ServiceError(f"{name} cannot be started: {error}") from error

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the child still runs."""
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], timeout_seconds: float) -> None:
        """Wait until ``ready()``; on failure the child is gone before the error is raised.

        Raises:
            ServiceError: the child ended first, or the time is over; with the end of its log.
        """
        try:
            wait_until(ready, timeout_seconds, self.name, pause=self._raise_if_ended_within)
        except ServiceError as error:
            self.stop(grace_seconds=0)
            raise ServiceError(f"{error}:\n{self.log_tail()}") from None
        except BaseException:
            self.stop(grace_seconds=0)
            raise

    def stop(self, grace_seconds: float = 15.0) -> None:
        """Close the child's input; if it outlives the grace, terminate, then kill it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._ended_within(grace_seconds):
            return
        self._process.terminate()
        if not self._ended_within(grace_seconds):
            self.kill()

    def kill(self) -> None:
        """Kill the child with SIGKILL and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child."""
        self._process.send_signal(number)

    def wait(self, timeout_seconds: float) -> None:
        """Wait for a child that was told to end by other means.

        Raises:
            ServiceError: it still runs after ``timeout_seconds``.
        """
        if not self._ended_within(timeout_seconds):
            raise ServiceError(f"{self.name} still runs after {timeout_seconds:g} s")

    def log_tail(self) -> str:
        """Return the last part of the child's log."""
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace").strip()

    def _raise_if_ended_within(self, seconds: float) -> None:
        if self._ended_within(seconds):
            raise ServiceError(f"{self.name} ended with {self._process.returncode}")

    def _ended_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a folder, made if missing, for this process; others wait for their turn."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _locked(folder: Path, name: str) -> IO[bytes]:
    """Open the folder's lock file and take its lock, which lives as long as any copy of it."""
    lock = (folder / LOCK_FILE).open("ab")
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                lock.close()
                raise ServiceError(f"{name} already runs in {folder}") from None
            time.sleep(POLL_SECONDS)
        else:
            return lock
