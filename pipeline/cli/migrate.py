"""``cxstream migrate``: the tables of ClickHouse."""

from __future__ import annotations

import asyncio

import typer
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.cli.output import fail
from pipeline.cli.settings import read_settings
from pipeline.kpi import catalogue
from pipeline.settings import ClickHouseSettings
from sinks.clickhouse import definitions, migrate
from sinks.clickhouse.client import connect

app = typer.Typer(help="See and make the tables in ClickHouse.", no_args_is_help=True)


@app.command()
def plan() -> None:
    """Show which migrations are missing; nothing is changed."""
    _report(asyncio.run(_run(read_settings().clickhouse, make=False)), "missing")


@app.command()
def apply() -> None:
    """Apply the missing migrations and write the definitions of KPIs.

    The database is made if it is not there.
    """
    _report(asyncio.run(_run(read_settings().clickhouse, make=True)), "applied")


def _report(migrations: list[migrate.Migration], what: str) -> None:
    for migration in migrations:
        typer.echo(migration.name)
    typer.echo(f"{len(migrations)} {what}")


async def _run(settings: ClickHouseSettings, *, make: bool) -> list[migrate.Migration]:
    try:
        client = await connect(settings, create_database=make)
        try:
            if not make:
                return await migrate.plan(client)
            applied = await migrate.apply(client)
            await definitions.write(client, catalogue.load())
            return applied
        finally:
            await client.close()
    except (ClickHouseError, migrate.MigrationError, OSError) as error:
        fail(str(error))
