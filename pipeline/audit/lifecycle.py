"""Facts from accepted events by SQL alone: the lifecycle, written a second time."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Final, NamedTuple

from clickhouse_connect.driver.client import Client

from pipeline.audit.scratch import Scratch, statements

SCRIPTS: Final = files("pipeline.audit") / "sql"
"""SQL files, run in the order of their names."""


class Lifecycle(NamedTuple):
    """What the script made.

    Attributes:
        database: Database with a table of each kind of fact it knows, under the name of its view.
        columns: Columns of each of its tables.
        not_covered: What some events say that the script does not understand, with their count.
    """

    database: str
    columns: Mapping[str, frozenset[str]]
    not_covered: Mapping[str, int]


def lifecycle(
    client: Client,
    source: str,
    scratch: str,
    as_of_ms: int,
    events: str = "interaction_events",
    restarts: str = "platform_restarts",
) -> Lifecycle:
    """Make facts in the database ``scratch``, made anew, from the accepted events of ``source``.

    Args:
        client: A client that may make databases.
        source: Database of the events.
        scratch: Database that is made anew; its tables stay.
        as_of_ms: The clock: events that occurred later are not known.
        events: Table of the events.
        restarts: Table of the moments at which platforms began anew.
    """
    place = Scratch(client, scratch)
    parameters = {
        "source": source, "events": events, "restarts": restarts, "as_of_ms": as_of_ms,
    }  # fmt: skip
    for script in sorted(SCRIPTS.iterdir(), key=lambda file: file.name):
        for statement in statements(script):
            place.run(statement, parameters)
    columns: dict[str, set[str]] = {}
    for table, column in place.rows(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase()"
    ):
        columns.setdefault(table, set()).add(column)
    return Lifecycle(
        scratch,
        {table: frozenset(names) for table, names in columns.items()},
        {what: int(count) for what, count in place.rows("SELECT what, events FROM not_covered")},
    )
