"""A Prometheus server on a free port that scrapes given targets each second, for tests and demos.

The ``prometheus`` program is found on PATH; no wheel carries it. Its data stays in the folder.
"""

from __future__ import annotations

import http.client
import json
import shutil
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

from pipeline.embedded.process import (
    ChildProcess,
    ServiceError,
    ServiceMissing,
    free_ports,
    http_ok,
    python_module,
)

HOST: Final = "127.0.0.1"
JOB: Final = "cxstream"
READY_TIMEOUT_SECONDS: Final = 30.0
QUERY_TIMEOUT_SECONDS: Final = 10.0


class PrometheusServer:
    """Prometheus on a folder: ``with PrometheusServer(folder, ["127.0.0.1:6066"]) as server``.

    Args:
        folder: home of configuration, data and log; made if missing.
        targets: what to scrape, as ``host:port``, at ``/metrics``.
        rule_files: files with recording and alerting rules.
        port: port of its pages and HTTP API, 0 for a free one.

    Raises:
        ServiceMissing: Prometheus is not installed.
    """

    def __init__(
        self,
        folder: Path,
        targets: Sequence[str],
        *,
        rule_files: Sequence[Path] = (),
        port: int = 0,
    ) -> None:
        program = shutil.which("prometheus")
        if program is None:
            raise ServiceMissing("Prometheus is not installed: no prometheus on PATH")
        self._program = program
        self.folder = folder.resolve()
        self.port = port or free_ports(1)[0]
        self._targets = list(targets)
        self._rule_files = [str(file.resolve()) for file in rule_files]
        self._child: ChildProcess | None = None

    @property
    def url(self) -> str:
        """Address of its pages and HTTP API."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the server.

        Raises:
            ServiceError: it is not running.
        """
        if self._child is None:
            raise ServiceError(f"Prometheus does not run in {self.folder}")
        return int(self._pid_file.read_text(encoding="ascii"))

    def start(self, timeout_seconds: float = READY_TIMEOUT_SECONDS) -> Self:
        """Start the server and return when it is ready to answer queries.

        Raises:
            ServiceError: one already runs in the folder, or this one did not get ready.
        """
        if self._child is not None:
            raise ServiceError(f"Prometheus already runs in {self.folder}")
        command = [
            self._program,
            f"--config.file={self.folder / 'prometheus.json'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={HOST}:{self.port}",
        ]
        child = ChildProcess(
            "Prometheus",
            python_module("pipeline.embedded.supervisor", str(self._pid_file), *command),
            self.folder,
            "server.log",
            prepare=self._write_configuration,
        )
        child.wait_until(lambda: http_ok(self.port, "/-/ready"), timeout_seconds)
        self._child = child
        return self

    def stop(self) -> None:
        """Stop the server; nothing happens when it is not running."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate a PromQL expression now; return its samples as the HTTP API gives them.

        Raises:
            ServiceError: Prometheus refuses the expression; with its message.
        """
        result: list[dict[str, Any]] = self._api("query", {"query": expression})["result"]
        return result

    def healthy_targets(self) -> list[str]:
        """Return the scrape addresses whose last scrape succeeded."""
        active = self._api("targets", {"state": "active"})["activeTargets"]
        return [target["scrapeUrl"] for target in active if target["health"] == "up"]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def _pid_file(self) -> Path:
        return self.folder / "server.pid"

    def _api(self, call: str, parameters: dict[str, str]) -> Any:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=QUERY_TIMEOUT_SECONDS)
        try:
            connection.request("GET", f"/api/v1/{call}?{urlencode(parameters)}")
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != HTTPStatus.OK:
            raise ServiceError(f"Prometheus: {answer.get('error', response.reason)}")
        return answer["data"]

    def _write_configuration(self) -> None:
        configuration = {
            "global": {
                "scrape_interval": "1s",
                "scrape_timeout": "1s",
                "evaluation_interval": "1s",
            },
            "rule_files": self._rule_files,
            "scrape_configs": [
                {"job_name": JOB, "static_configs": [{"targets": self._targets}]},
            ],
        }
        # JSON is YAML too, and needs no quoting of our own.
        path = self.folder / "prometheus.json"
        path.write_text(json.dumps(configuration, indent=2), encoding="utf-8")
