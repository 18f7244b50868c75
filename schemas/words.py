"""Words for mistakes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: object, known: Iterable[str]) -> str:
    """A hint for a word that is not known: the one that was meant, else all there are."""
    names = list(known)
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else "known: " + ", ".join(names)
