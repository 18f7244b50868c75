"""``cxstream doctor`` against a real Kafka and a real ClickHouse, from nothing to healthy."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.doctor.findings import clock_finding
from pipeline.identity import make_key
from schemas.topics import CLOCKS
from schemas.values import ExhibitClock, encode_clock, rfc3339
from tests.integration.warehouse import client_of
from tests.support.services import kafka_server


class Site:
    """The command line with the settings of one installation."""

    def __init__(self, bootstrap: str, folder: Path, clickhouse=None) -> None:
        make_key(folder / "identity.key")
        self.environment = {
            "CXSTREAM_BOOTSTRAP": bootstrap,
            "CXSTREAM_PARTITIONS": "2",
            "CXSTREAM_IDENTITY_KEY_FILE": str(folder / "identity.key"),
            "CXSTREAM_CLICKHOUSE_PORT": "1",
            "COLUMNS": "200",
        }
        if clickhouse is not None:
            self.environment |= {
                "CXSTREAM_CLICKHOUSE_PORT": str(clickhouse.http_port),
                "CXSTREAM_CLICKHOUSE_USER": clickhouse.user,
                "CXSTREAM_CLICKHOUSE_PASSWORD": clickhouse.password,
                "CXSTREAM_CLICKHOUSE_DATABASE": "doctor",
            }

    def run(self, *arguments: str):
        return CliRunner().invoke(app, list(arguments), env=self.environment)

    def findings(self, code: int) -> dict[str, dict[str, str]]:
        done = self.run("doctor", "--json")
        assert done.exit_code == code, done.output
        told = [json.loads(line) for line in done.stdout.splitlines()]
        return {one["check"]: one for one in told}


@pytest.mark.kafka
@pytest.mark.clickhouse
def test_from_nothing_to_healthy(clickhouse, tmp_path):
    with kafka_server() as kafka:
        site = Site(kafka.bootstrap, tmp_path, clickhouse)
        found = site.findings(1)
        assert found["topics"]["level"] == "bad"
        assert "cx.interactions" in found["topics"]["found"]
        assert found["topics"]["todo"] == "`cxstream topics apply` makes them"
        assert found["ClickHouse"]["level"] == "bad"
        assert "`cxstream migrate apply`" in found["ClickHouse"]["todo"]
        assert "group sink" not in found

        assert site.run("topics", "apply").exit_code == 0
        assert site.run("migrate", "apply").exit_code == 0
        found = site.findings(0)
        # A trial with one broker, and no worker yet.
        assert {name for name, one in found.items() if one["level"] != "good"} == {
            "brokers", "age of values", "group intake", "group lifecycle", "group journeys",
            "group performers", "group exhibits", "group sink",
        }  # fmt: skip
        assert found["broker's clock"]["found"].startswith("the broker's clock is ")
        assert found["migrations"]["found"].startswith("all ")
        assert found["group sink"]["todo"] == "start a worker with the role sink"

        producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
        producer.produce("cx.facts", b"{}")
        old = ExhibitClock(("default",), rfc3339(time.time_ns() // 1_000_000 - 60_000))
        producer.produce(CLOCKS, encode_clock(old), b"0", partition=0)
        assert producer.flush(10) == 0
        found = site.findings(1)
        assert found["group sink"]["found"] == "0 workers, 1 records to do"
        assert found["group sink"]["level"] == "bad"
        assert found["age of values"]["level"] == "bad"

        table = site.run("doctor")
        assert table.exit_code == 1
        assert "start a worker with the role sink" in table.stdout

        # One thing after the other is broken, and is said with what to do about it.
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        shorter = ConfigEntry("retention.ms", "60000", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource("topic", "cx.facts", incremental_configs=[shorter])
        admin.incremental_alter_configs([resource])[resource].result(10)
        with client_of(clickhouse, "doctor") as client:
            client.command("ALTER TABLE schema_migrations DELETE WHERE name LIKE '0012%' "
                           "SETTINGS mutations_sync = 2")  # fmt: skip
        found = site.findings(1)
        assert found["topics"]["level"] == "warning"
        assert "retention.ms" in found["topics"]["found"]
        assert found["topics"]["todo"] == "`cxstream topics apply` sets these settings"
        assert found["migrations"]["level"] == "bad"
        assert found["migrations"]["todo"] == "`cxstream migrate apply`"
        with client_of(clickhouse, "doctor") as client:
            client.command("INSERT INTO schema_migrations (name, checksum) VALUES ('9999_x', '0')")
        found = site.findings(1)
        assert found["migrations"]["todo"] == "use the version of cxstream that applied them"
        site.environment["CXSTREAM_CLICKHOUSE_PASSWORD"] = "wrong"  # noqa: S105  that is the point
        found = site.findings(1)
        assert found["ClickHouse"]["level"] == "bad"
        assert "repair CXSTREAM_CLICKHOUSE_*" in found["ClickHouse"]["todo"]


def test_brokers_that_do_not_answer(tmp_path):
    site = Site("127.0.0.1:1", tmp_path)
    (tmp_path / "identity.key").chmod(0o644)
    found = site.findings(1)
    assert found["brokers"]["level"] == "bad"
    assert found["identity key"]["todo"] == f"chmod 600 {tmp_path / 'identity.key'}"
    assert found["ClickHouse"]["level"] == "bad"
    assert "topics" not in found


@pytest.mark.parametrize(
    ("ahead_ms", "doubt_ms", "level"),
    [(400, 0, "good"), (600, 0, "warning"), (-600, 200, "good"), (-5_300, 200, "bad")],
)
def test_a_clock_is_judged_by_what_is_certain(ahead_ms, doubt_ms, level):
    assert clock_finding("clock", ahead_ms, doubt_ms, "it").level == level
