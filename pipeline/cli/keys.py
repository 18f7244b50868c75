"""``cxstream keys``: the secret of customer keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.output import fail
from pipeline.identity import make_key

app = typer.Typer(help="Make the secret of customer keys.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """One secret for all workers: whoever loses it cannot link later contacts to earlier ones."""


@app.command()
def make(
    path: Annotated[Path, typer.Argument(help="File to make, readable by its owner.")],
) -> None:
    """Make a new secret in a file; one that is there is never overwritten."""
    try:
        make_key(path)
    except FileExistsError:
        fail(f"{path} is there already")
    except OSError as error:
        fail(str(error))
    typer.echo(f"made {path}")
