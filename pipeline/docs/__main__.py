"""``python -m pipeline.docs`` writes generated text; with ``--check`` it says what is stale."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.docs.pages import stale, write

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Write, or check; the exit code."""
    if "--check" not in arguments:
        write(ROOT)
        return 0
    found = stale(ROOT)
    for name in found:
        sys.stderr.write(f"{name} is stale; run: make docs\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
