"""A folder with only the files that the image has, and commands in it, as a user without rights."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text("utf-8")
NOBODY = 65_534
ENTRY = "import sys; from pipeline.cli.main import main; sys.argv[0] = 'cxstream'; main()"
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
LEFT_OUT = ("chdb", "numpy", "pandas", "pyarrow")


def copied() -> list[str]:
    """What the build copies from the repository."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)
    return [name for line in lines for name in line.split()]


def without_rights() -> list[str]:
    """What stands before a command so that a user without rights runs it."""
    if os.geteuid() != 0:
        return []
    return [
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs",
        "--bounding-set=-all",
    ]  # fmt: skip


@cache
def interpreter() -> str:
    """A Python of this version that a user without rights can run: root's own may lie at home."""
    known = [sys.executable, *filter(None, [shutil.which(VERSION, path=os.defpath)])]
    for one in known:
        # Through a shell, since it is by shells that containers run it.
        tried = [*without_rights(), "/bin/sh", "-c", f'"{one}" -c "import json"']
        if subprocess.run(tried, capture_output=True, check=False).returncode == 0:
            return one
    pytest.skip(f"a user without rights can run none of {', '.join(known)}")


class Image:
    """What the image has and nothing else, readable by all, with a volume its user may write to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "image"
        self.volume = folder / "volume"
        self.folder.mkdir()
        self.volume.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(self.volume, NOBODY, NOBODY)
        for name in copied():
            source, target = ROOT / name, self.folder / Path(name).name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        # What pip makes of the entry point that pyproject.toml names.
        (self.folder / "bin").mkdir()
        script = self.folder / "bin" / "cxstream"
        script.write_text(f'#!/bin/sh\nexec "{interpreter()}" -P -c "{ENTRY}" "$@"\n')
        script.chmod(0o755)
        # Packages that the lock of the image leaves out cannot be imported here either.
        for name in LEFT_OUT:
            text = f"raise ImportError('no {name} in the image')\n"
            (self.folder / f"{name}.py").write_text(text)

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """What a container has, and what it is given."""
        return {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{self.folder}{os.pathsep}{sysconfig.get_path('purelib')}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/nonexistent", **given,
        }  # fmt: skip

    def start(
        self, argv: Sequence[str], given: Mapping[str, str], log: IO[str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a process as a container does; what it says goes to ``log``, or can be read."""
        out = subprocess.PIPE if log is None else log
        return subprocess.Popen(
            [*without_rights(), *argv],
            env=self.environment(given), cwd="/", stdout=out, stderr=out, text=True,
        )  # fmt: skip

    def run(self, *argv: str, **given: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with self.start(argv, given) as process:
            try:
                out, err = process.communicate(timeout=90)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def files(self) -> set[Path]:
        """Everything in the image; a root file system that is read-only keeps it so."""
        return set(self.folder.rglob("*"))


@contextmanager
def image() -> Iterator[Image]:
    """An image that is gone afterwards."""
    # Folders that pytest makes lie where only their owner can enter.
    folder = Path(tempfile.mkdtemp(prefix="cxstream-image-"))
    folder.chmod(0o755)
    try:
        yield Image(folder)
    finally:
        shutil.rmtree(folder)
