"""A whole site for tests: real Kafka, workers as processes of their own, their metrics, the clock.

Workers are the product's own command line. What a test reads, it reads from outside: topics
(read_committed), consumer groups, ``/metrics``, ClickHouse.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AdminClient

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.identity import make_key
from tests.integration.logs import GROUPS, PARTITIONS, QUIET, Logs
from tests.integration.process import Process, wait_for

SESSION_TIMEOUT_MS = 6_000
_COMMAND = Path(sys.executable).with_name("cxstream")
_prefixes = itertools.count(1)


class Site(Logs):
    """Topics, groups and workers on one Kafka. Every site has groups and topics of its own.

    Args:
        bootstrap: The Kafka; topics of an earlier site on it are deleted first.
        folder: Home of logs and the identity key.
        clickhouse: Where the role ``sink`` writes, if workers have it.
        database: Database there, migrated here.
        exhibits: Exhibit files.
        session_timeout_ms: When a group gives up a silent worker.
        replication: Replicas of each topic.
        partitions: Partitions of each topic.
    """

    def __init__(
        self,
        bootstrap: str,
        folder: Path,
        *,
        clickhouse: EmbeddedClickHouse | None = None,
        database: str = "cxstream",
        exhibits: Iterable[Path] = (),
        session_timeout_ms: int = SESSION_TIMEOUT_MS,
        replication: int = 1,
        partitions: int = PARTITIONS,
    ) -> None:
        roles = (name for name in GROUPS if clickhouse is not None or name != "sink")
        super().__init__(bootstrap, f"site{next(_prefixes)}", partitions, roles)
        self.folder = folder
        self.workers: list[Process] = []
        self.environment = {
            **os.environ,
            "CXSTREAM_BOOTSTRAP": bootstrap,
            "CXSTREAM_GROUP_PREFIX": self.prefix,
            "CXSTREAM_PARTITIONS": str(partitions),
            "CXSTREAM_REPLICATION": str(replication),
            "CXSTREAM_TICKS": "external",
            "CXSTREAM_HEARTBEAT_SECONDS": "0",
            "CXSTREAM_LINGER_SECONDS": "0",
            "CXSTREAM_SESSION_TIMEOUT_MS": str(session_timeout_ms),
            "CXSTREAM_IDENTITY_KEY_FILE": str(folder / "identity.key"),
        }
        make_key(folder / "identity.key")
        if files := ",".join(str(path) for path in exhibits):
            self.environment["CXSTREAM_EXHIBITS"] = files
        if clickhouse is not None:
            self.environment |= {
                "CXSTREAM_CLICKHOUSE_HOST": clickhouse.host,
                "CXSTREAM_CLICKHOUSE_PORT": str(clickhouse.http_port),
                "CXSTREAM_CLICKHOUSE_USER": clickhouse.user,
                "CXSTREAM_CLICKHOUSE_PASSWORD": clickhouse.password,
                "CXSTREAM_CLICKHOUSE_DATABASE": database,
            }
            self.command("migrate", "apply")
        self._delete_topics()
        self.command("topics", "apply")
        # One process makes the key; others started at once would find the file half written.
        (folder / "identity.key").write_text("ab" * 32 + "\n", "ascii")
        self.connect()

    def _delete_topics(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap, **QUIET})

        def ours() -> list[str]:
            return [name for name in admin.list_topics(timeout=10).topics if name.startswith("cx.")]

        if old := ours():
            for future in admin.delete_topics(old, operation_timeout=20).values():
                future.result(20)
            wait_for(lambda: not ours(), "topics to be deleted", 20)

    # --- processes ------------------------------------------------------------------------------

    def command(self, *arguments: str, expect: int = 0, seconds: float = 120.0) -> str:
        """Run the command line to its end, which comes in time; what it printed."""
        done = subprocess.run(
            [str(_COMMAND), *arguments],
            env=self.environment, capture_output=True, text=True, check=False, timeout=seconds,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    def refused(self, *arguments: str, code: int = 2) -> str:
        """Run a command line that must end with a mistake of its user; what it complained."""
        done = subprocess.run(
            [str(_COMMAND), *arguments],
            env=self.environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr

    def worker(
        self, roles: Iterable[str] = (), *, spoiled: str = "", **environment: str
    ) -> Process:
        """Start one worker, all roles unless named; ``spoiled`` is code that runs in it first."""
        command = [str(_COMMAND)]
        if spoiled:
            main = "from pipeline.cli.main import main\nmain()\n"
            command = [sys.executable, "-c", f"{spoiled}\n{main}"]
        process = Process(
            [*command, "--verbose", "worker", "--roles", ",".join(roles or self.roles)],
            {**self.environment, **environment},
            self.folder / f"worker-{len(self.workers)}.log",
        )
        self.workers.append(process)
        return process

    def close(self) -> None:
        """End what still runs."""
        for process in self.workers:
            if process.running:
                process.signal(signal.SIGCONT)
                process.kill()
        self.disconnect()


@contextmanager
def site(
    bootstrap: str,
    folder: Path,
    *,
    clickhouse: EmbeddedClickHouse | None = None,
    database: str = "cxstream",
    exhibits: Iterable[Path] = (),
    session_timeout_ms: int = SESSION_TIMEOUT_MS,
) -> Iterator[Site]:
    """A site whose workers are gone afterwards."""
    found = Site(
        bootstrap, folder, clickhouse=clickhouse, database=database, exhibits=exhibits,
        session_timeout_ms=session_timeout_ms,
    )  # fmt: skip
    try:
        yield found
    finally:
        found.close()
