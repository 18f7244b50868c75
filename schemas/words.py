"""Words for mistakes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def listed(words: Iterable[str]) -> str:
    """Words as a choice: ``a``, ``a or b``, ``a, b or c``."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def meant(word: object, known: Iterable[str]) -> str:
    """The known word that was meant, whatever its case; empty if none is like it."""
    by_lower = {name.lower(): name for name in known}
    text = str(word).lower()
    if text in by_lower:
        return by_lower[text]
    close = difflib.get_close_matches(text, list(by_lower), n=1, cutoff=0.5)
    return by_lower[close[0]] if close else ""


def nearest(word: object, known: Iterable[str]) -> str:
    """A hint for a word that is not known: the one that was meant, else all there are."""
    names = list(known)
    if found := meant(word, names):
        return f"did you mean {found}?"
    return "known: " + ", ".join(names) if names else "none is known"
