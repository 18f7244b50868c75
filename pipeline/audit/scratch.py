"""A database that an audit makes for itself; its tables stay for whoever looks for a reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from typing import Any, Final

from clickhouse_connect.driver.client import Client

_SETTINGS: Final = {
    # Standard SQL reads a name as the column of that name first.
    "prefer_column_name_to_alias": 1,
    "join_use_nulls": 0,
    # A condition on a column of few values is of that type too; here it does no harm.
    "allow_suspicious_low_cardinality_types": 1,
}

_COMMENT_LINE: Final = re.compile(r"^\s*--.*$", re.MULTILINE)


class Scratch:
    """Statements run in one database, with parameters bound.

    Args:
        client: A client that may make databases.
        database: Name of the database; whatever it held is dropped.
    """

    def __init__(self, client: Client, database: str) -> None:
        self.database = database
        self._client = client
        for words in ("DROP DATABASE IF EXISTS", "CREATE DATABASE"):
            client.command(f"{words} {{name:Identifier}}", parameters={"name": database})

    def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run one statement."""
        with self._inside():
            self._client.command(statement, parameters=dict(parameters or {}), settings=_SETTINGS)

    def rows(
        self, query: str, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[Sequence[Any]]:
        """Run one query."""
        with self._inside():
            return self._client.query(
                query, parameters=dict(parameters or {}), settings=_SETTINGS
            ).result_rows

    def table(
        self, name: str, columns: Iterable[tuple[str, str]], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Make a table and fill it."""
        told = list(columns)
        types = ", ".join(f"{column} {type_}" for column, type_ in told)
        self.run(f"CREATE TABLE {name} ({types}) ENGINE = MergeTree ORDER BY tuple()")
        self.insert(name, [column for column, _ in told], rows)

    def insert(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Add rows to a table."""
        with self._inside():
            self._client.insert(name, list(rows), column_names=columns)

    @contextmanager
    def _inside(self) -> Iterator[None]:
        before, self._client.database = self._client.database, self.database
        try:
            yield
        finally:
            self._client.database = before


def statements(script: Traversable) -> list[str]:
    """The statements of an SQL file; each ends its last line with a semicolon."""
    text = _COMMENT_LINE.sub("", script.read_text("utf-8"))
    return [statement for part in text.split(";\n") if (statement := part.strip())]
