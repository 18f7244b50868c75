"""``cxstream inventory``: which AI performs which task, and who verified it when."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.console import Console
from rich.table import Table

from pipeline.cli.output import Exit, fail
from pipeline.cli.settings import demo_clickhouse, read_settings
from pipeline.cli.sql import ask

_QUERY: Final = """
SELECT
    *,
    verified_at IS NOT NULL AND verified_at <= {as_of:DateTime64(3, 'UTC')}
        AND (verified_until IS NULL OR verified_until > {as_of:DateTime64(3, 'UTC')})
        AND verified_version = model_version AS verified
FROM ai_performers
WHERE in_service_from <= {as_of:DateTime64(3, 'UTC')}
    AND (in_service_until IS NULL OR in_service_until > {as_of:DateTime64(3, 'UTC')})
ORDER BY kcr_task, performer_id
"""
_TITLES: Final = ("KCR task", "performer", "version", "owner", "verified", "ethics checks")


def command(
    as_of: Annotated[
        str | None, typer.Option(help="In service at this moment, RFC 3339; else now.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Data folder of a running demo; else as the settings say.")
    ] = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One object a line, all fields.")
    ] = False,
) -> None:
    """List the AI performers of every KCR task: version, owner, verification, ethics checks."""
    settings = read_settings().clickhouse if data is None else demo_clickhouse(data)
    try:
        names, rows = asyncio.run(ask(settings, _QUERY, {"as_of": _moment(as_of)}))
    except (ClickHouseError, OSError) as error:
        fail(str(error))
    found = [dict(zip(names, row, strict=True)) for row in rows]
    if json_lines:
        for performer in found:
            told = performer | {"verified": bool(performer["verified"])}
            typer.echo(json.dumps(told, default=_text))
        return
    table = Table(*_TITLES)
    for performer in found:
        table.add_row(
            performer["kcr_task"],
            performer["performer_id"],
            performer["model_version"],
            performer["owner"],
            _verified(performer),
            _ethics(performer),
        )
    Console().print(table)


def _moment(text: str | None) -> str:
    """The moment as ClickHouse reads it, in UTC."""
    try:
        moment = datetime.now(UTC) if text is None else datetime.fromisoformat(text)
    except ValueError:
        fail(f"--as-of {text}: expected an RFC 3339 time", Exit.BAD_INPUT)
    if moment.tzinfo is None:
        fail(f"--as-of {text}: the time needs an offset, such as Z", Exit.BAD_INPUT)
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _verified(performer: dict[str, Any]) -> str:
    if not performer["verified"]:
        return "no"
    until = performer["verified_until"]
    return f"{performer['verified_at']:%Y-%m-%d} to {f'{until:%Y-%m-%d}' if until else 'open'}"


def _ethics(performer: dict[str, Any]) -> str:
    if not performer["ethics_checks"]:
        return "none"
    passed = "passed" if performer["ethics_check_passed"] else "failed"
    return f"{performer['ethics_checks']}, {performer['ethics_checked_at']:%Y-%m-%d} {passed}"
