"""Brings a ClickHouse database to the schema of this version: first a plan, then apply.

Migrations are the numbered SQL files beside this module. Each statement ends its last line with a
semicolon and can be run again without harm, because ClickHouse has no transactions over DDL: a
migration that stopped half-way is simply applied again. What was applied is written down with a
checksum; an applied file must never be changed, a new one is added instead.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from clickhouse_connect.driver import AsyncClient
from clickhouse_connect.driver.exceptions import DatabaseError

MIGRATIONS: Final[Traversable] = files("sinks.clickhouse") / "migrations"

_FILE_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_STATEMENT_END: Final = re.compile(r";[ \t]*$", re.MULTILINE)
_COMMENT_LINE: Final = re.compile(r"^\s*--.*$", re.MULTILINE)
_REPEATABLE: Final = re.compile(
    "|".join((
        r"CREATE (TABLE|DICTIONARY|MATERIALIZED VIEW) IF NOT EXISTS ",
        r"CREATE OR REPLACE VIEW ",
        r"DROP (TABLE|DICTIONARY|VIEW) IF EXISTS ",
        r"ALTER TABLE \S+\s+ADD COLUMN IF NOT EXISTS ",
        r"ALTER TABLE \S+\s+(COMMENT|DROP|MODIFY) COLUMN IF EXISTS ",
        r"ALTER TABLE \S+\s+MODIFY (COMMENT|SETTING|TTL) ",
    ))
)  # fmt: skip

_APPLIED_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    `name` String COMMENT 'file of the migration',
    `checksum` String COMMENT 'SHA-256 of the file in hexadecimal',
    `applied_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'when it was complete'
)
ENGINE = ReplacingMergeTree
ORDER BY name
COMMENT 'Migrations applied to this database.'
"""


class MigrationError(Exception):
    """The files and the database contradict each other, or a statement was refused."""


class Migration(NamedTuple):
    """One numbered SQL file."""

    name: str
    checksum: str
    statements: tuple[str, ...]


def load(folder: Traversable = MIGRATIONS) -> list[Migration]:
    """Read all migrations in order.

    Raises:
        MigrationError: numbers are not 1, 2, 3 ..., or a statement could not be run again.
    """
    migrations = []
    for expected, file in enumerate(sorted(_sql_files(folder), key=lambda each: each.name), 1):
        match = _FILE_NAME.fullmatch(file.name)
        if match is None or int(match[1]) != expected:
            raise MigrationError(f"{file.name} should be named {expected:04}_<what>.sql")
        text = file.read_text(encoding="utf-8")
        statements = tuple(_statements(text))
        for statement in statements:
            if not _REPEATABLE.match(statement):
                raise MigrationError(
                    f"{file.name}: not safe to run again: {statement.splitlines()[0]}"
                )
        checksum = hashlib.sha256(text.encode()).hexdigest()
        migrations.append(Migration(file.name, checksum, statements))
    return migrations


async def plan(client: AsyncClient, folder: Traversable = MIGRATIONS) -> list[Migration]:
    """Return the migrations not yet applied to the client's database, in order.

    Raises:
        MigrationError: an applied file has changed, or the database is ahead of the files.
    """
    migrations = load(folder)
    applied = await _applied(client)
    known = {migration.name for migration in migrations}
    ahead = sorted(applied.keys() - known)
    if ahead:
        raise MigrationError(f"the database is ahead of this version: {', '.join(ahead)} applied")
    for migration in migrations:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationError(
                f"{migration.name} was changed after it was applied; add a new migration instead"
            )
    return [migration for migration in migrations if migration.name not in applied]


async def apply(client: AsyncClient, folder: Traversable = MIGRATIONS) -> list[Migration]:
    """Apply what :func:`plan` returns, and return it; the database itself must exist.

    Raises:
        MigrationError: as :func:`plan`, or the server refused a statement.
    """
    pending = await plan(client, folder)
    await client.command(_APPLIED_TABLE)
    for migration in pending:
        for statement in migration.statements:
            try:
                await client.command(statement)
            except DatabaseError as error:
                raise MigrationError(f"{migration.name}: {error}") from error
        await client.insert(
            "schema_migrations",
            [[migration.name, migration.checksum]],
            column_names=["name", "checksum"],
            settings={"async_insert": 0},
        )
    return pending


async def _applied(client: AsyncClient) -> dict[str, str]:
    exists = await client.command("EXISTS TABLE schema_migrations")
    if not exists:
        return {}
    answer = await client.query("SELECT name, checksum FROM schema_migrations FINAL")
    return {str(name): str(checksum) for name, checksum in answer.result_rows}


def _sql_files(folder: Traversable) -> list[Traversable]:
    return [file for file in folder.iterdir() if file.name.endswith(".sql")]


def _statements(text: str) -> list[str]:
    parts = (part.strip() for part in _STATEMENT_END.split(_COMMENT_LINE.sub("", text)))
    return [part for part in parts if part]
