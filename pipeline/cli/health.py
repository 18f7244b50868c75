"""``cxstream health``: asks a running worker, for a container's health check."""

from __future__ import annotations

import http.client
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

import typer

from pipeline.cli.output import Exit, fail
from pipeline.cli.settings import read_settings

_TIMEOUT_SECONDS = 4.0


def command(
    url: Annotated[
        str | None,
        typer.Argument(help="Page to ask; /health/live of the worker on this machine without one."),
    ] = None,
) -> None:
    """Ask a worker whether it is alive; ends with 0 if it says so and 1 if not.

    With `http://HOST:PORT/health/ready` it asks whether all partitions are restored.
    """
    asked = url or f"http://127.0.0.1:{read_settings().metrics_port}/health/live"
    try:
        status, text = _get(asked)
    except (OSError, http.client.HTTPException) as error:
        fail(f"{asked}: {error}")
    if status != HTTPStatus.OK:
        fail(f"{asked}: {status} {text.strip()}")
    typer.echo(text.strip())


def _get(url: str) -> tuple[int, str]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "http" or not parts.hostname or not port:
        fail(f"{url}: write http://HOST:PORT/health/live", Exit.BAD_INPUT)
    connection = http.client.HTTPConnection(parts.hostname, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", parts.path or "/health/live")
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    finally:
        connection.close()
