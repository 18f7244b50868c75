from __future__ import annotations

import stat
import sys
from pathlib import Path

import psutil
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from pydantic import SecretStr

from pipeline.embedded import process
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.process import ServiceError, http_ok, port_open
from sinks.clickhouse.client import connect
from tests.support.processes import assert_gone, start_and_orphan
from tests.support.services import clickhouse_server, clickhouse_settings

pytestmark = pytest.mark.clickhouse


async def fill(server: EmbeddedClickHouse) -> None:
    async with await connect(clickhouse_settings(server, "kept"), create_database=True) as client:
        await client.command("CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
        await client.insert("t", [[1], [2]], column_names=["a"])


async def contents(server: EmbeddedClickHouse) -> list[int]:
    async with await connect(clickhouse_settings(server, "kept")) as client:
        return [a for (a,) in (await client.query("SELECT a FROM t ORDER BY a")).result_rows]


async def test_data_password_and_ports_stay_over_stop_and_crash(tmp_path):
    with clickhouse_server(tmp_path) as server:
        await fill(server)
        before = (server.password, server.http_port, server.native_port)
        server.stop()
        server.start()
        assert await contents(server) == [1, 2]
        server.kill()
        server.start()
        assert await contents(server) == [1, 2]
        assert (server.password, server.http_port, server.native_port) == before
        pid = server.pid
    assert not psutil.pid_exists(pid)
    assert not port_open(server.http_port)
    with clickhouse_server(tmp_path) as another:
        assert await contents(another) == [1, 2]


async def test_only_the_password_lets_in(clickhouse):
    folder: Path = clickhouse.folder
    for name in ("password", "users.xml", "config.xml"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert clickhouse.password not in (folder / "users.xml").read_text()
    right = clickhouse_settings(clickhouse, "default")
    wrong = right.model_copy(update={"password": SecretStr("guess")})
    with pytest.raises(DatabaseError) as refused:
        await connect(wrong)
    assert refused.value.code == 516
    # The engine's own user has no password: nobody else gets a session as that user.
    assert http_ok(clickhouse.http_port, "/ping")
    assert not http_ok(clickhouse.http_port, "/?query=SELECT+1")
    nobody = right.model_copy(update={"user": "default", "password": SecretStr("")})
    with pytest.raises(DatabaseError) as refused:
        await connect(nobody)
    assert refused.value.code == 700


def test_a_folder_in_use_is_refused_and_left_alone(clickhouse, monkeypatch):
    monkeypatch.setattr(process, "LOCK_WAIT_SECONDS", 0.2)
    second = EmbeddedClickHouse(clickhouse.folder)
    with pytest.raises(ServiceError, match=f"ClickHouse already runs in {clickhouse.folder}"):
        second.start()
    assert clickhouse._is_ours()


def test_the_engine_is_loaded_in_the_child_only(clickhouse):
    assert clickhouse._is_ours()
    assert "chdb" not in sys.modules


def test_a_port_in_use_is_told(clickhouse, tmp_path):
    for number, port in enumerate(("http_port", "native_port")):
        second = EmbeddedClickHouse(tmp_path / str(number), **{port: getattr(clickhouse, port)})
        with pytest.raises(ServiceError, match="Address already in use"):
            second.start()


def test_it_dies_with_its_killed_parent(tmp_path):
    orphan = start_and_orphan(
        "from pipeline.embedded.clickhouse import EmbeddedClickHouse\n"
        "server = EmbeddedClickHouse(folder).start()",
        tmp_path,
    )
    assert_gone(orphan, within_seconds=10)
    # The folder is free again at once.
    with clickhouse_server(tmp_path) as server:
        assert http_ok(server.http_port, "/ping")


def test_sigterm_ends_it(tmp_path):
    with clickhouse_server(tmp_path) as server:
        server_process = psutil.Process(server.pid)
        server_process.terminate()
        assert_gone(server_process, within_seconds=10)
