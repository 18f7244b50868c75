"""Work that is not in proportion to a batch, done in turns with everything else of the process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Final

TURN_SECONDS: Final = 0.01
"""A checkpoint awaits the broker once for each batch of records, and each time a turn of every
partition that is folded: of long turns many make a transaction too long, which is then aborted."""


async def in_turns(steps: Iterable[object]) -> None:
    """Take ``steps`` to their end, and let others run each ``TURN_SECONDS``.

    A batch can be cut when it takes long, but not the work of one tick. Without turns a worker that
    has much to publish misses the heartbeats of its group and loses its partitions.
    """
    turn_ends = time.monotonic() + TURN_SECONDS
    for _ in steps:
        if time.monotonic() >= turn_ends:
            await asyncio.sleep(0)
            turn_ends = time.monotonic() + TURN_SECONDS
