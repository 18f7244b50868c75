"""The command ``cxstream``: one module a command, imported when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from pipeline.cli.output import fail
from pipeline.cli.settings import log_settings
from pipeline.logs import configure_logs

COMMANDS: Final = {
    "demo": "Run the whole pipeline with a simulated contact center until Ctrl-C.",
    "worker": "Run stages of the pipeline on a Kafka, as deployed.",
    "doctor": "Look at an installation, and say what to do.",
    "health": "Ask a worker whether it is alive, or ready.",
    "wallboard": "Serve the live page of a Kafka's exhibits.",
    "simulate": "Write the events of a simulated contact center.",
    "replay": "Run files through the real pipeline and print what comes out.",
    "sql": "Ask the ClickHouse of a running demo.",
    "journey": "Tell one journey step by step.",
    "effort": "Compare journey effort with what customers say.",
    "inventory": "List the AI performers of every KCR task.",
    "exhibit": "Check, explain, compare, report and change exhibits.",
    "plan": "Size an installation from what the benchmark has measured.",
    "audit": "Compare published values with a second computation in SQL.",
    "recompute": "Compute values again that late corrections changed beyond the horizon.",
    "topics": "See and make the topics of a cluster.",
    "migrate": "See and make the tables in ClickHouse.",
    "rebuild": "Write a lost log anew from ClickHouse.",
    "keys": "Make the secret of customer keys.",
    "dead-letters": "See refused records, and send them back.",
}


class _Lazy(TyperGroup):
    """A group whose commands are modules of this package, not imported before they are called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"pipeline.cli.{cmd_name.replace('-', '_')}")
        if hasattr(module, "app"):
            return get_group(module.app)
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name)(module.command)
        return get_command(single)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        # The help that typer draws would import every command.
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        options = [record for p in self.get_params(ctx) if (record := p.get_help_record(ctx))]
        with formatter.section("Options"):
            formatter.write_dl(options)
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    name="cxstream",
    cls=_Lazy,
    help="Real-time KPIs of contact centers: events of bots and live agents in, exact numbers out. "
    "`cxstream COMMAND --help` tells more.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _before(
    *,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    configure_logs(log_settings(), verbose=verbose)


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
