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
from typing import Any, Final
from urllib.parse import urlencode

from pipeline.embedded.process import ServiceError, ServiceMissing, free_ports, http_ok
from pipeline.embedded.server import Server

HOST: Final = "127.0.0.1"
JOB: Final = "cxstream"
QUERY_TIMEOUT_SECONDS: Final = 10.0


class PrometheusServer(Server):
    """Prometheus on a folder: ``with PrometheusServer(folder, ["127.0.0.1:6066"]) as server``.

    Args:
        folder: home of configuration, data and log; made if missing.
        targets: what to scrape, as ``host:port``, at ``/metrics``.
        rule_files: files with recording and alerting rules.
        port: port of its pages and HTTP API, 0 for a free one.

    Raises:
        ServiceMissing: Prometheus is not installed.
    """

    name = "Prometheus"
    ready_timeout_seconds = 30.0

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
        super().__init__(folder)
        self._program = program
        self.port = port or free_ports(1)[0]
        self._targets = list(targets)
        self._rule_files = [str(file.resolve()) for file in rule_files]

    @property
    def url(self) -> str:
        """Address of its pages and HTTP API."""
        return f"http://{HOST}:{self.port}"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate a PromQL expression now; return its samples as the HTTP API gives them.

        Raises:
            ServiceError: Prometheus refuses the expression; with its message.
        """
        result: list[dict[str, Any]] = self._api("query", {"query": expression})["result"]
        return result

    def scrape(self, targets: Sequence[str]) -> None:
        """Scrape these targets from now on, and no others; seen within a second or two."""
        self._targets = list(targets)
        if self.folder.exists():
            self._tell_targets()

    def firing(self) -> list[dict[str, str]]:
        """Labels of the alerts that fire now."""
        return [sample["metric"] for sample in self.query('ALERTS{alertstate="firing"}')]

    def _tell_targets(self) -> None:
        # Replaced as a whole, since Prometheus watches the file.
        told = self.folder / "targets.json"
        new = told.with_suffix(".new")
        new.write_text(json.dumps([{"targets": self._targets}]), encoding="utf-8")
        new.replace(told)

    def healthy_targets(self) -> list[str]:
        """Return the scrape addresses whose last scrape succeeded."""
        active = self._api("targets", {"state": "active"})["activeTargets"]
        return [target["scrapeUrl"] for target in active if target["health"] == "up"]

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

    def _command(self) -> list[str]:
        return self._supervised(
            self._program,
            f"--config.file={self.folder / 'prometheus.json'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={HOST}:{self.port}",
        )

    def _is_ready(self) -> bool:
        return http_ok(self.port, "/-/ready")

    def _prepare(self) -> None:
        configuration = {
            "global": {
                "scrape_interval": "1s",
                "scrape_timeout": "1s",
                "evaluation_interval": "1s",
            },
            "rule_files": self._rule_files,
            "scrape_configs": [
                {
                    "job_name": JOB,
                    "file_sd_configs": [
                        {
                            "files": [str(self.folder / "targets.json")],
                            "refresh_interval": "1s",
                        }
                    ],
                },
            ],
        }
        self._tell_targets()
        # JSON is YAML too, and needs no quoting of our own.
        path = self.folder / "prometheus.json"
        path.write_text(json.dumps(configuration, indent=2), encoding="utf-8")
