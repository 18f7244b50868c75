"""What commands say, and how they end."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    NOTHING_READ = 3


def say(text: str) -> None:
    """Write a line for people, apart from the output."""
    sys.stderr.write(text + "\n")


def fail(text: str, code: Exit = Exit.FAILED) -> NoReturn:
    """End with a message."""
    say(f"cxstream: {text}")
    sys.exit(code)
