"""What all tests share: a last word on what was not run."""

from __future__ import annotations

import pytest

_INSTALL = (
    "to run all of them: sudo apt-get install -y --no-install-recommends"
    " default-jre-headless maven prometheus kcat faketime chromium"
)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List by name what was skipped, and the command that installs what was missing."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section("not run")
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.line(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")
    terminalreporter.line(_INSTALL)
