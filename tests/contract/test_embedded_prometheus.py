from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import psutil
import pytest

from pipeline.embedded import prometheus as prometheus_module
from pipeline.embedded.process import ServiceError, ServiceMissing, wait_until
from tests.support.processes import assert_gone, start_and_orphan
from tests.support.services import prometheus_server

pytestmark = pytest.mark.prometheus


class Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'cx_exhibit_value{kpi="aht"} 180.5\n')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def target() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_scrapes_evaluates_rules_and_answers_queries(target, tmp_path):
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: [{name: g, rules: [{record: doubled, expr: 2 * cx_exhibit_value}]}]")
    with prometheus_server([target], rule_files=[rules]) as server:
        # The first scrape comes up to 5 s after the start.
        wait_until(lambda: bool(server.query("doubled")), 20, "the rule")
        (sample,) = server.query('cx_exhibit_value{kpi="aht"}')
        assert sample["metric"]["job"] == "cxstream"
        assert sample["value"][1] == "180.5"
        assert server.query("doubled")[0]["value"][1] == "361"
        assert server.query("absent_metric") == []
        assert server.healthy_targets() == [f"http://{target}/metrics"]
        with pytest.raises(ServiceError, match="parse error"):
            server.query("cx_exhibit_value{")


def test_it_dies_with_its_killed_parent(tmp_path):
    process = start_and_orphan(
        "from pipeline.embedded.prometheus import PrometheusServer\n"
        "server = PrometheusServer(folder, []).start()",
        tmp_path,
    )
    assert_gone(process, within_seconds=15)


def test_a_broken_configuration_is_told(tmp_path):
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: 7")
    with (
        pytest.raises(ServiceError, match=r"Prometheus ended with 1:[\s\S]*rules\.yml"),
        prometheus_server([], tmp_path / "home", rule_files=[rules]),
    ):
        pytest.fail("it started")


def test_a_stopped_server_is_gone(tmp_path):
    with prometheus_server([], tmp_path) as server:
        pid = server.pid
        assert psutil.Process(pid).name() == "prometheus"
    assert not psutil.pid_exists(pid)


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceMissing, match="Prometheus is not installed: no prometheus on PATH"):
        prometheus_module.PrometheusServer(tmp_path, [])
