"""A real Apache Kafka broker in KRaft mode, from the jars that Maven brings, for tests.

What the broker in :mod:`pipeline.embedded.broker` cannot show is shown here: transactions and
fencing, compaction, a log that outlives its server, and a server that is killed or frozen.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pipeline.embedded.process import (
    ServiceError,
    ServiceMissing,
    exclusive,
    free_ports,
    port_open,
)
from pipeline.embedded.server import Server

HOST: Final = "127.0.0.1"

_ROOT: Final = Path(__file__).resolve().parents[2]
POM: Final = _ROOT / "docker" / "kafka" / "pom.xml"
JARS: Final = _ROOT / ".cache" / "kafka"

# A short life on a small machine: quick start matters, peak speed does not.
_JAVA_OPTIONS: Final = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

_LOGGING: Final = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


class KafkaServer(Server):
    """Kafka on a folder: ``with KafkaServer(folder) as kafka: kafka.bootstrap``.

    Log and ports stay the same over :meth:`stop`, :meth:`kill` and :meth:`restart`.

    Args:
        folder: home of configuration, log segments and server log; made if missing.
        properties: server properties that win over those set here.

    Raises:
        ServiceMissing: there is no Java, or no Maven to fetch the jars with.
        ServiceError: Maven could not fetch the jars.
    """

    name = "Kafka"
    stop_grace_seconds = 20.0
    ready_timeout_seconds = 90.0

    def __init__(self, folder: Path, properties: Mapping[str, str] | None = None) -> None:
        super().__init__(folder)
        self._properties = dict(properties or {})
        self._java = _find("java", "a Java runtime, 17 or later")
        self._jars = jars()
        self._port, self._controller_port = free_ports(2)

    @property
    def bootstrap(self) -> str:
        """Address for ``bootstrap.servers``, as ``host:port``."""
        return f"{HOST}:{self._port}"

    def kill(self) -> None:
        """Kill the server with SIGKILL, as a crash would."""
        self.signal(signal.SIGKILL)
        self._running().wait(self.stop_grace_seconds)
        self._running().stop()
        self._child = None

    def restart(self) -> None:
        """Start again after :meth:`stop` or :meth:`kill`, stopping first if it still runs."""
        self.stop()
        self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the Java process, as SIGSTOP and SIGCONT to freeze it for a while."""
        os.kill(self.pid, number)

    @property
    def _server_properties(self) -> Path:
        return self.folder / "server.properties"

    def _command(self) -> list[str]:
        return self._supervised(
            *self._java_command(), "kafka.Kafka", str(self._server_properties)
        )  # fmt: skip

    def _is_ready(self) -> bool:
        return port_open(self._port)

    def _java_command(self) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        return [self._java, *_JAVA_OPTIONS, logging, "-cp", f"{self._jars}/*"]

    def _prepare(self) -> None:
        """Write the configuration, and format the log folder if that was never done."""
        (self.folder / "log4j2.properties").write_text(_LOGGING, encoding="ascii")
        lines = [f"{name}={value}\n" for name, value in self._all_properties().items()]
        self._server_properties.write_text("".join(lines), encoding="utf-8")
        if (self.folder / "data" / "meta.properties").exists():
            return
        cluster_id = self._cluster_id()
        done = subprocess.run(  # noqa: S603 - the command is ours
            [
                *self._java_command(), "kafka.tools.StorageTool",
                "format", f"--cluster-id={cluster_id}", "-c", str(self._server_properties),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise ServiceError(f"Kafka's storage tool failed:\n{done.stdout}{done.stderr}")

    def _cluster_id(self) -> str:
        """The id that a new log folder is formatted with."""
        return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")

    def _all_properties(self) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{HOST}:{self._controller_port}",
            "listeners": f"PLAINTEXT://{HOST}:{self._port},"
            f"CONTROLLER://{HOST}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self._port}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # A killed broker may register again only when its old session is over.
            "broker.heartbeat.interval.ms": "500",
            "broker.session.timeout.ms": "3000",
            # Shutting down waits for partitions to move to other brokers; there are none.
            "controlled.shutdown.enable": "false",
            **self._properties,
        }


def jars() -> Path:
    """Return the folder with Kafka's jars, fetched with Maven once and again when the pom changes.

    Raises:
        ServiceMissing: there is no Maven, or this is no checkout.
        ServiceError: it failed.
    """
    if not POM.exists():
        raise ServiceMissing(f"Apache Kafka is started from a checkout only: no {POM}")
    wanted = hashlib.sha256(POM.read_bytes()).hexdigest()
    stamp = JARS / "pom.sha256"
    with exclusive(JARS):
        if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
            return JARS
        maven = _find("mvn", "Maven")
        for old in JARS.glob("*.jar"):
            old.unlink()
        done = subprocess.run(  # noqa: S603 - the command is ours
            [
                maven, "--batch-mode", "--quiet", "--file", str(POM),
                "dependency:copy-dependencies", "-DincludeScope=runtime",
                f"-DoutputDirectory={JARS}",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise ServiceError(f"Maven could not fetch Kafka's jars:\n{done.stdout}{done.stderr}")
        stamp.write_text(wanted, encoding="ascii")
    return JARS


def _find(program: str, description: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise ServiceMissing(f"{description} is needed for Apache Kafka: no {program} on PATH")
    return path
