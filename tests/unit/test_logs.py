"""Every line of a log has the name of its event, whoever wrote it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

CODE = """
import logging
import structlog
from pipeline.cli.settings import log_settings
from pipeline.logs import configure_logs
configure_logs(log_settings(), verbose={verbose})
structlog.get_logger().warning("fetch_failed", group="g")
structlog.get_logger().info("worker_started")
logging.getLogger("aiohttp.server").error("closed %s", "early")
try:
    secret = "s3cret"
    raise ValueError("bad")
except ValueError:
    logging.getLogger("asyncio").exception("lost")
"""


def written(*, verbose: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CODE.format(verbose=verbose)], text=True, capture_output=True,
        check=False, env={**os.environ, **environment},
    )  # fmt: skip


def test_lines_of_ours_and_of_libraries_are_objects_with_an_event():
    lines = [json.loads(line) for line in written().stderr.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("fetch_failed", "warning"), ("library", "error"), ("library", "error"),
    ]  # fmt: skip
    assert (lines[1]["logger"], lines[1]["message"]) == ("aiohttp.server", "closed early")
    assert "ValueError: bad" in lines[2]["exception"]
    assert "s3cret" not in lines[2]["exception"].replace('secret = "s3cret"', "")
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_verbose_tells_what_happens():
    events = [json.loads(line)["event"] for line in written(verbose=True).stderr.splitlines()]
    assert events == ["fetch_failed", "worker_started", "library", "library"]


def test_text_is_for_people():
    told = written(CXSTREAM_LOG_FORMAT="text").stderr
    assert told.splitlines()[0].endswith("fetch_failed                   group=g")


@pytest.mark.parametrize("bad", ["xml", ""])
def test_another_format_is_one_clear_line(bad):
    done = written(CXSTREAM_LOG_FORMAT=bad)
    assert done.returncode == 2
    assert done.stderr == (
        "cxstream: setting CXSTREAM_LOG_FORMAT: Input should be 'json' or 'text'\n"
    )
