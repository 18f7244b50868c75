"""The ClickHouse user of dashboards, as docker/clickhouse/reader.xml makes it."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.support.services import clickhouse_server

FILE = Path(__file__).parents[2] / "docker" / "clickhouse" / "reader.xml"

pytestmark = pytest.mark.clickhouse


def test_reads_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    password = secrets.token_hex(8)
    monkeypatch.setenv("CLICKHOUSE_READER_PASSWORD", password)
    (tmp_path / "users.d").mkdir()
    shutil.copy(FILE, tmp_path / "users.d")
    with clickhouse_server(tmp_path) as server:
        with clickhouse_connect.get_client(
            host=server.host, port=server.http_port, username=server.user,
            password=server.password,
        ) as owner:  # fmt: skip
            owner.command("CREATE DATABASE cxstream")
            owner.command("CREATE TABLE cxstream.t (n UInt8) ENGINE = MergeTree ORDER BY n")
            owner.command("INSERT INTO cxstream.t VALUES (7)")
            owner.command("CREATE DATABASE other")
            owner.command("CREATE TABLE other.t (n UInt8) ENGINE = MergeTree ORDER BY n")
        with clickhouse_connect.get_client(
            host=server.host, port=server.http_port, username="cxstream_reader",
            password=password, database="cxstream",
        ) as reader:  # fmt: skip
            asked = "SELECT n FROM t SETTINGS max_execution_time = 30"
            assert reader.query(asked).result_rows == [(7,)]
            for refused in (
                "INSERT INTO cxstream.t VALUES (8)",
                "DROP TABLE cxstream.t",
                "SELECT n FROM other.t",
                "SELECT n FROM cxstream.t SETTINGS max_execution_time = 61",
                "SELECT n FROM cxstream.t SETTINGS readonly = 0",
            ):
                with pytest.raises(DatabaseError):
                    reader.command(refused)
