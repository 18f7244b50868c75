"""One finding of the doctor."""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["good", "warning", "bad"]


class Finding(NamedTuple):
    """What one look found.

    Attributes:
        check: What was looked at, in two or three words.
        found: What is there, with numbers.
        todo: What to do about it; empty where it is good.
    """

    check: str
    level: Level
    found: str
    todo: str = ""


def good(check: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(check, "good", found)


def warning(check: str, found: str, todo: str) -> Finding:
    """Numbers are right, but something is not as it should be."""
    return Finding(check, "warning", found, todo)


def bad(check: str, found: str, todo: str) -> Finding:
    """Nothing works, or numbers are missing or old."""
    return Finding(check, "bad", found, todo)


def clock_finding(check: str, ahead_ms: float, doubt_ms: float, whose: str) -> Finding:
    """How far another clock is from ours.

    Args:
        check: What was looked at.
        ahead_ms: The other clock less ours.
        doubt_ms: How wrong that may be, because asking took time.
        whose: Name of the other clock.
    """
    told = f"{whose} is {ahead_ms:+.0f} ms from this machine's (within {doubt_ms:.0f} ms)"
    certain_ms = abs(ahead_ms) - doubt_ms
    todo = "keep all machines in step by NTP: ticks and retention follow these clocks"
    if certain_ms > _BAD_MS:
        return bad(check, told, todo)
    if certain_ms > _WARNING_MS:
        return warning(check, told, todo)
    return good(check, told)


_WARNING_MS = 500
_BAD_MS = 5_000
