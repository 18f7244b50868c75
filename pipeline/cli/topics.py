"""``cxstream topics``: what the cluster must have."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline import topics_admin
from pipeline.cli.output import fail
from pipeline.cli.settings import kafka_settings
from pipeline.runtime import make_topics, planned_topics
from pipeline.settings import Settings
from schemas.topics import TOPICS

app = typer.Typer(help="See and make the topics of a cluster.", no_args_is_help=True)
Bootstrap = Annotated[str | None, typer.Option(help="Kafka brokers, host:port.")]


def _settings(bootstrap: str | None) -> tuple[Settings, str]:
    return kafka_settings(bootstrap=bootstrap)


@app.command("list")
def list_topics() -> None:
    """List the topics of the product: key, cleanup, who writes and who reads."""
    for topic in TOPICS.values():
        typer.echo(
            f"{topic.name}  key: {topic.key}; cleanup: {topic.cleanup}; "
            f"{', '.join(topic.producers)} -> {', '.join(topic.consumers)}\n    {topic.comment}"
        )


@app.command()
def plan(bootstrap: Bootstrap = None) -> None:
    """Show what would be made or changed; nothing is."""
    try:
        changes = planned_topics(*_settings(bootstrap))
    except topics_admin.TopicsError as error:
        fail(str(error))
    for change in changes:
        typer.echo(str(change))
    typer.echo(f"{len(changes)} changes")


@app.command()
def apply(bootstrap: Bootstrap = None) -> None:
    """Make the changes of the plan. Nothing is deleted; partition counts are never changed."""
    try:
        changes = make_topics(*_settings(bootstrap))
    except topics_admin.TopicsError as error:
        fail(str(error))
    typer.echo(f"{len(changes)} changes made")
