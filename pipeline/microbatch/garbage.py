"""How often Python looks for cycles in a process that takes batches."""

from __future__ import annotations

import gc

_THRESHOLDS = (100_000, 20, 50)


def tune_garbage_collection() -> None:
    """Look for cycles less often: a batch makes many thousand objects that all live as long as it.

    Nothing of a batch is in a cycle, so the search finds nothing; with the interpreter's own
    threshold of 700 it takes a quarter to a half of a worker's time.
    """
    gc.set_threshold(*_THRESHOLDS)
