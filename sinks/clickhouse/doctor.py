"""What can be asked of ClickHouse: is it there, with our tables, with room and the right time?"""

from __future__ import annotations

import time
from collections.abc import Iterator

from clickhouse_connect.driver import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.doctor.findings import Finding, bad, clock_finding, good, warning
from pipeline.settings import ClickHouseSettings
from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect

_SCARCE = 0.15
_FULL = 0.05


async def warehouse(settings: ClickHouseSettings) -> list[Finding]:
    """Version, migrations, disks and clock of the server."""
    where = f"{settings.host}:{settings.port}, database {settings.database}"
    try:
        client = await connect(settings)
    except (ClickHouseError, OSError) as error:
        todo = "start ClickHouse, or repair CXSTREAM_CLICKHOUSE_*; `cxstream migrate apply` makes "
        todo += "the database"
        return [bad("ClickHouse", f"{where}: {_first_line(error)}", todo)]
    try:
        return [
            good("ClickHouse", f"{where}: {client.server_version}"),
            await _migrations(client),
            *await _disks(client),
            await _clock(client),
        ]
    except ClickHouseError as error:
        return [bad("ClickHouse", _first_line(error), "may this user read system.disks?")]
    finally:
        await client.close()


async def _migrations(client: AsyncClient) -> Finding:
    try:
        missing = await migrate.plan(client)
    except migrate.MigrationError as error:
        return bad("migrations", str(error), "use the version of cxstream that applied them")
    if missing:
        told = f"missing: {', '.join(one.name for one in missing)}"
        return bad("migrations", told, "`cxstream migrate apply`")
    return good("migrations", f"all {len(migrate.load())} applied")


async def _disks(client: AsyncClient) -> Iterator[Finding]:
    found = await client.query("SELECT name, free_space, total_space FROM system.disks")
    return (_disk(str(name), int(free), int(total)) for name, free, total in found.result_rows)


def _disk(name: str, free: int, total: int) -> Finding:
    check = f"disk {name}"
    told = f"{free / 2**30:,.1f} of {total / 2**30:,.1f} GiB free"
    todo = "make room: the sink waits while the disk is full, and Kafka keeps facts for 7 days"
    if not total or free / total >= _SCARCE:
        return good(check, told)
    return (bad if free / total < _FULL else warning)(check, told, todo)


async def _clock(client: AsyncClient) -> Finding:
    sent_ms = time.time_ns() / 1e6
    told = await client.command("SELECT toUnixTimestamp64Milli(now64(3))")
    took_ms = time.time_ns() / 1e6 - sent_ms
    ahead_ms = float(str(told)) - (sent_ms + took_ms / 2)
    return clock_finding("ClickHouse's clock", ahead_ms, took_ms / 2, "ClickHouse's clock")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [repr(error)])[0]
