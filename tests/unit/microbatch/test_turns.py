"""Long work lets the rest of the process have its turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from pipeline.microbatch import in_turns
from pipeline.microbatch.turns import TURN_SECONDS

STEPS = 6


async def test_others_run_between_the_steps_of_long_work() -> None:
    seen: list[str] = []

    def work() -> Iterator[None]:
        for _ in range(STEPS):
            until = time.monotonic() + TURN_SECONDS
            while time.monotonic() < until:
                pass
            seen.append("step")
            yield

    async def beat() -> None:
        while seen.count("step") < STEPS:
            seen.append("beat")
            await asyncio.sleep(0)

    await asyncio.gather(in_turns(work()), beat())
    assert seen.count("step") == STEPS
    # Each step fills a turn: no two stand together without a beat between them.
    assert "step step" not in " ".join(seen)


async def test_short_work_is_done_in_one_turn() -> None:
    seen: list[str] = []

    async def other() -> None:
        seen.append("other")

    waiting = asyncio.create_task(other())
    await in_turns(seen.append("step") for _ in range(100))
    assert seen == ["step"] * 100
    await waiting
