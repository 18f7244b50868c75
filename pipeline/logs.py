"""Logs: one line an event on standard error, each with the name of its event."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import structlog
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from structlog.typing import Processor

LIBRARY_EVENT = "library"
"""Event of lines that a library writes; what it says is their ``message``."""


class LogSettings(BaseSettings):
    """How logs are written."""

    model_config = SettingsConfigDict(env_prefix="CXSTREAM_LOG_", extra="forbid")

    format: Literal["json", "text"] = Field(
        "json", description="logs as one JSON object a line, or as text for people"
    )


def configure_logs(settings: LogSettings, *, verbose: bool) -> None:
    """Send our logs and those of libraries to standard error; only warnings unless ``verbose``.

    Tracebacks come without the values of variables, which may be secrets.
    """
    level = logging.INFO if verbose else logging.WARNING
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[Processor] = [
        structlog.processors.format_exc_info,
        _renderer(settings),
    ]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        processors=[*shared, *rendered],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, _named],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    logging.basicConfig(level=level, handlers=[handler])
    # Faust and aiokafka tell of every rebalance as a warning or an error; the stages do it better.
    for name in ("aiokafka", "faust", "mode"):
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.ERROR)


def _renderer(settings: LogSettings) -> Processor:
    if settings.format == "text":
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return structlog.processors.JSONRenderer()


def _named(
    _logger: Any, _method: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Give a line of a library an event name; its text is free and cannot be searched for."""
    return {"event": LIBRARY_EVENT, "message": line.pop("event"), **line}
