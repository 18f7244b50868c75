"""The real agents on the embedded log: arrival changes nothing of what a replay prints."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import msgspec
import pytest

from pipeline.replay.run import Job, Result, replay
from pipeline.stages.intake import Source
from schemas.exhibit_file import load_exhibit
from schemas.platforms import find_platform
from tests.golden.harness import exhibit_file
from tests.golden.table import Check, read

EXAMPLES = Path(__file__).resolve().parents[1] / "golden" / "examples"
NAMES = ("03-warm-transfer", "05-bot-to-human", "06-abandons-and-bots", "07-repeat-window",
         "10-duplicates", "11-hold-out-of-order", "17-journey-effort")  # fmt: skip


@pytest.fixture(scope="module")
def examples():
    return [read(EXAMPLES / f"{name}.md") for name in NAMES]


async def replayed(folder, examples, lines) -> Result:
    log = folder / "events.jsonl"
    log.write_text("".join(lines))
    platform = find_platform("interactions")
    return await replay(
        Job(
            files=[log],
            source=Source(platform, platform.options([])),
            exhibits=[load_exhibit(exhibit_file(folder, example)) for example in examples],
            keep_facts=True,
        )
    )


def printed(result: Result) -> tuple[bytes, bytes]:
    """Values and facts; a fact's version counts what was seen on the way to it."""
    facts = [{k: v for k, v in fact.items() if k != "version"} for fact in result.facts]
    return msgspec.json.encode(result.values), msgspec.json.encode(facts)


async def test_any_order_any_duplicate_gives_the_same_values_and_facts(tmp_path, examples):
    final = [(e, step) for e in examples for step in e.steps if isinstance(step, Check)]
    last = [(e, check) for e, check in final if check.clock is None]
    lines = [json.dumps(x) + "\n" for e, check in last for x in e.arrived_before(check)]
    expected = printed(await replayed(tmp_path, examples, lines))
    assert len(expected[0]) > 10_000
    for seed in (1, 2):
        random = Random(seed)  # noqa: S311 - a fixed shuffle
        shuffled = [*lines, *random.choices(lines, k=20)]
        random.shuffle(shuffled)
        assert printed(await replayed(tmp_path, examples, shuffled)) == expected
