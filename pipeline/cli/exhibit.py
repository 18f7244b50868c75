"""``cxstream exhibit``: work on exhibit files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.exhibits import read_exhibits

app = typer.Typer(help="Check exhibit files.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Exhibits say which KPIs are computed, for whom, over which windows, with which targets."""


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Exhibit files to check.")],
) -> None:
    """Check exhibit files; every mistake is told with its line and column."""
    for exhibit in read_exhibits(files):
        typer.echo(
            f"{exhibit.exhibit} version {exhibit.version}: {len(exhibit.kpis)} KPIs, "
            f"by {', '.join(exhibit.by) or 'nothing'}, {len(exhibit.windows)} windows: good"
        )
