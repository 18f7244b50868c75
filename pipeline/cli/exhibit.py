"""``cxstream exhibit``: work on exhibit files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.exhibits import read_exhibits
from pipeline.docs.presets import definitions
from pipeline.exhibit.compare import compare
from pipeline.exhibit.explain import explain as explained
from pipeline.kpi import catalogue

app = typer.Typer(help="Check, explain, compare and report exhibits.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="Exhibit file.")]


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


@app.command()
def explain(
    file: File,
    *,
    sql: Annotated[bool, typer.Option("--sql", help="With the SQL of each KPI.")] = False,
) -> None:
    """Say in words what is computed of what, when it is final, and what misleads."""
    (exhibit,) = read_exhibits([file])
    typer.echo(explained(exhibit, catalogue.load(), sql=sql), nl=False)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="Exhibit file as it was.")],
    new: Annotated[Path, typer.Argument(help="Exhibit file as it is to be.")],
) -> None:
    """Say what changes for readers, and which numbers cannot be compared any more."""
    (before,), (after,) = read_exhibits([old]), read_exhibits([new])
    found = compare(before, after, catalogue.load())
    for line in found.lines or ("nothing changes",):
        typer.echo(line)
    if found.incomparable:
        typer.echo(f"not comparable with what was: {', '.join(found.incomparable)}")


@app.command()
def presets() -> None:
    """List what each platform means by a KPI: the defaults that `preset:` gives."""
    typer.echo(definitions(), nl=False)
