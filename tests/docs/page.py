"""Pages as tests: blocks of a page, marked by a comment before them, and a runner for them.

- ``<!-- file: NAME -->``: the block is a file.
- ``<!-- run -->``: the block is run and must end with 0. ``run: background`` leaves it running,
  ``run: until output`` repeats it until the output is as the page says, ``run: until done`` until
  it ends with 0, ``needs NAME`` wants a program to be installed.
- ``<!-- output -->``: what the run before it prints.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(
    r"<!-- (?P<verb>file|run|output)(?:: (?P<how>[^>]*?))? -->\n+"
    r"(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)(?P=indent)```",
    re.DOTALL,
)
RUN_SECONDS = 120.0
UNTIL_SECONDS = 240.0


class Block(NamedTuple):
    """One marked block."""

    verb: str
    how: str
    language: str
    text: str


def blocks(path: Path) -> list[Block]:
    """The marked blocks of a page, in order."""
    text = path.read_text("utf-8")
    found = [
        Block(m["verb"], m["how"] or "", m["language"], m["text"]) for m in _BLOCK.finditer(text)
    ]
    marks = re.findall(r"<!-- (?:file|run|output)\b", text)
    assert len(found) == len(marks), f"{path.name}: a mark stands before no block"
    return found


@dataclass
class Runner:
    """Runs blocks in a folder of their own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    #: Called for a block left running; returns once what it prints is there.
    started: Callable[[Path], None] = lambda _folder: None
    missing: list[str] = field(default_factory=list)
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, found: list[Block]) -> int:
        """Run all; the number of outputs compared. Raises ``AssertionError``."""
        compared = 0
        for index, block in enumerate(found):
            if block.verb == "file":
                (self.folder / block.how).write_text(block.text, "utf-8")
            elif block.verb == "run" and self._can(block):
                follower = found[index + 1] if index + 1 < len(found) else None
                wanted = follower.text if follower and follower.verb == "output" else None
                self._run(block, wanted)
                compared += wanted is not None
        return compared

    def stop(self) -> None:
        """End what was left running, as Ctrl-C would."""
        for child in self._children:
            child.send_signal(signal.SIGINT)
        for child in self._children:
            assert child.wait(60) == 0, (self.folder / "background.txt").read_text("utf-8")

    def _can(self, block: Block) -> bool:
        needed = re.search(r"needs (\S+)", block.how)
        if needed is None or shutil.which(needed[1]):
            return True
        if os.environ.get("CI") == "true" or os.geteuid() == 0:
            raise AssertionError(f"{needed[1]} is not installed: apt-get install {needed[1]}")
        self.missing.append(needed[1])
        return False

    def _run(self, block: Block, wanted: str | None) -> None:
        command = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
        argv = [*command[block.language], block.text]
        venv = str(Path(sys.executable).parent)
        environment = {
            **os.environ,
            "PATH": f"{venv}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "200",
            **self.environment,
        }
        if "background" in block.how:
            with (self.folder / "background.txt").open("wb") as out:
                self._children.append(
                    subprocess.Popen(
                        ["bash", "-c", f"exec {block.text.strip()}"],
                        cwd=self.folder, env=environment, stdout=out, stderr=out,
                    )
                )  # fmt: skip
            self.started(self.folder)
            return
        until = time.monotonic() + (UNTIL_SECONDS if "until" in block.how else 0)
        while True:
            done = subprocess.run(
                argv, cwd=self.folder, env=environment, capture_output=True, check=False,
                timeout=RUN_SECONDS,
            )  # fmt: skip
            told = done.stdout.decode()
            good = done.returncode == 0 and (wanted is None or _tidy(told) == _tidy(wanted))
            if good or time.monotonic() > until:
                break
        assert done.returncode == 0, f"{block.text}\n{told}\n{done.stderr.decode()}"
        if wanted is not None:
            assert _tidy(told).splitlines() == _tidy(wanted).splitlines(), told


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


@contextmanager
def running(folder: Path, started: Callable[[Path], None] = lambda _: None) -> Iterator[Runner]:
    """A runner whose children are ended with it; skips if a program was missing."""
    runner = Runner(folder, started=started)
    try:
        yield runner
    finally:
        runner.stop()
    if runner.missing:
        pytest.skip(f"not installed: {', '.join(runner.missing)}; the other blocks ran")


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return once ``condition`` holds. Raises ``AssertionError`` saying ``what`` did not happen."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.1)
