"""What the embedded servers have in common: a folder, one child process, a context."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from pipeline.embedded.process import ChildProcess, ServiceError, python_module


class Server(ABC):
    """A server on a folder, started as a child process: ``with Server(folder) as server: ...``.

    It ends with this process, even when that is killed.
    """

    name: ClassVar[str]
    stop_grace_seconds: ClassVar[float] = 15.0
    ready_timeout_seconds: ClassVar[float]

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._child: ChildProcess | None = None

    @property
    def pid(self) -> int:
        """Process id of the server.

        Raises:
            ServiceError: it is not running.
        """
        self._running()
        return int(self._pid_file.read_text(encoding="ascii"))

    def start(self, timeout_seconds: float | None = None) -> Self:
        """Start the server and return when it is ready.

        Raises:
            ServiceMissing: what it is made of is not installed.
            ServiceError: one already runs in the folder, or this one did not get ready.
        """
        if self._child is not None:
            raise ServiceError(f"{self.name} already runs in {self.folder}")
        child = ChildProcess(
            self.name, self._command(), self.folder, "server.log", prepare=self._prepare
        )
        child.wait_until(self._is_ready, timeout_seconds or self.ready_timeout_seconds)
        self._child = child
        return self

    def stop(self) -> None:
        """Stop the server; nothing happens when it is not running."""
        if self._child is not None:
            self._child.stop(self.stop_grace_seconds)
            self._child = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @abstractmethod
    def _command(self) -> list[str]:
        """The command line of the child."""

    @abstractmethod
    def _prepare(self) -> None:
        """Write what the child reads at its start; the folder is surely ours then."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether clients may come."""

    def _supervised(self, *command: str) -> list[str]:
        """The command line of a program that does not end with its standard input by itself."""
        return python_module("pipeline.embedded.supervisor", str(self._pid_file), *command)

    @property
    def _pid_file(self) -> Path:
        return self.folder / "server.pid"

    def _running(self) -> ChildProcess:
        if self._child is None:
            raise ServiceError(f"{self.name} does not run in {self.folder}")
        return self._child
