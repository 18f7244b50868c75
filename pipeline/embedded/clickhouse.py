"""A real ClickHouse server out of the chdb wheel, as a child process on loopback ports.

It is the same client path as a ClickHouse in production: HTTP and native protocol, users,
passwords, error codes. Not in it: ``system.query_log``, asynchronous metrics, and table engines
that need a cluster or Kafka.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import secrets
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from pipeline.embedded.process import ServiceMissing, free_ports, http_ok, python_module
from pipeline.embedded.server import Server

HOST: Final = "127.0.0.1"
USER: Final = "cxstream"
DEFAULT_MEMORY_BYTES: Final = 2 * 1024**3

_CONFIG: Final = """\
<clickhouse>
    <logger><level>warning</level><console>true</console></logger>
    <listen_host>{host}</listen_host>
    <http_port>{http_port}</http_port>
    <tcp_port>{native_port}</tcp_port>
    <users_config>users.xml</users_config>
    <timezone>UTC</timezone>
    <max_server_memory_usage>{memory_bytes}</max_server_memory_usage>
    <backups><allowed_path>{backups}</allowed_path></backups>
</clickhouse>
"""

# The engine itself logs in as "default" without a password, which cannot be configured. That user
# may do only what starting takes, and its one session is taken before a port is open.
_USERS: Final = """\
<clickhouse>
    <profiles>
        <default/>
        <starter><max_sessions_for_user>1</max_sessions_for_user></starter>
    </profiles>
    <quotas><default/></quotas>
    <users>
        <default>
            <no_password/>
            <networks><ip>{host}</ip></networks>
            <profile>starter</profile>
            <quota>default</quota>
            <grants>
                <query>GRANT SYSTEM LISTEN ON *.*</query>
                <query>GRANT CREATE TEMPORARY TABLE ON *.*</query>
                <query>GRANT READ ON FILE</query>
            </grants>
        </default>
        <{user}>
            <password_sha256_hex>{password_sha256}</password_sha256_hex>
            <networks><ip>{host}</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
            <access_management>1</access_management>
        </{user}>
    </users>
</clickhouse>
"""


class EmbeddedClickHouse(Server):
    """ClickHouse on a folder: ``with EmbeddedClickHouse(folder) as server: server.http_port``.

    Data and password stay in the folder between starts. Backups (``TO File('name')``) lie in its
    folder ``backups``.

    Args:
        folder: home of configuration, data, password and log; made if missing.
        http_port: HTTP port, 0 for a free one.
        native_port: port of the native protocol, 0 for a free one.
        memory_bytes: most memory the server takes before it refuses queries (code 241).
    """

    name = "ClickHouse"
    # Beyond this it only waits for idle HTTP connections of clients; rows that it acknowledged
    # survive even SIGKILL.
    stop_grace_seconds = 1.0
    ready_timeout_seconds = 60.0
    host: Final = HOST
    user: Final = USER

    def __init__(
        self,
        folder: Path,
        *,
        http_port: int = 0,
        native_port: int = 0,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
    ) -> None:
        super().__init__(folder)
        self.http_port = http_port
        self.native_port = native_port
        self._memory_bytes = memory_bytes

    @property
    def password(self) -> str:
        """Password of :attr:`user`, made at the first start, readable by the owner only."""
        return (self.folder / "password").read_text(encoding="ascii")

    @property
    def url(self) -> str:
        """Address of the HTTP interface."""
        return f"http://{self.host}:{self.http_port}"

    @property
    def pid(self) -> int:
        """Process id of the server.

        Raises:
            ServiceError: it is not running.
        """
        return self._running().pid

    def kill(self) -> None:
        """Kill the server with SIGKILL, as a crash would; what it acknowledged stays."""
        self._running().kill()
        self._child = None

    def _command(self) -> list[str]:
        if importlib.util.find_spec("chdb") is None:
            raise ServiceMissing("the package chdb, which carries ClickHouse, is not installed")
        return python_module("pipeline.embedded.clickhouse_server", str(self.folder))

    def _is_ready(self) -> bool:
        return http_ok(self.http_port, "/ping") and self._is_ours()

    def _is_ours(self) -> bool:
        # /ping asks for no password: on a port given twice, another server would answer it.
        credentials = {"X-ClickHouse-User": self.user, "X-ClickHouse-Key": self.password}
        return http_ok(self.http_port, "/?query=SELECT+1", credentials)

    def _prepare(self) -> None:
        free_http, free_native = free_ports(2)
        self.http_port = self.http_port or free_http
        self.native_port = self.native_port or free_native
        password_file = self.folder / "password"
        if not password_file.exists():
            _write_private(password_file, secrets.token_urlsafe(24))
        digest = hashlib.sha256(self.password.encode()).hexdigest()
        config = _CONFIG.format(
            host=HOST,
            http_port=self.http_port,
            native_port=self.native_port,
            memory_bytes=self._memory_bytes,
            backups=escape(f"{self.folder / 'backups'}/"),
        )
        users = _USERS.format(host=HOST, user=USER, password_sha256=digest)
        _write_private(self.folder / "config.xml", config)
        _write_private(self.folder / "users.xml", users)


def _write_private(path: Path, text: str) -> None:
    """Replace a file as a whole; only its owner can read it, from its first byte on."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
