"""The command ``cxstream``: one module a command, registered here."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipeline.cli import (
    dead_letters,
    demo,
    exhibit,
    migrate,
    replay,
    simulate,
    sql,
    topics,
    worker,
)
from pipeline.cli.output import fail
from pipeline.logs import configure_logs

app = typer.Typer(
    name="cxstream",
    help="Real-time KPIs of contact centers: events of bots and live agents in, exact numbers out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("demo")(demo.command)
app.command("worker")(worker.command)
app.command("simulate")(simulate.command)
app.command("replay")(replay.command)
app.command("sql")(sql.command)
app.add_typer(exhibit.app, name="exhibit")
app.add_typer(topics.app, name="topics")
app.add_typer(migrate.app, name="migrate")
app.add_typer(dead_letters.app, name="dead-letters")


@app.callback()
def _before(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    configure_logs(verbose=verbose)


def main() -> None:
    """Run the command line; a mistake of the user ends with one line and no traceback."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        fail("the reader of the output went away")


if __name__ == "__main__":
    main()
