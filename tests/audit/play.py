"""The pure stages over a file of accepted events: values to standard output, one a line.

``python -m tests.audit.play EVENTS EXHIBIT CLOCK_MS``, in a process of its own, so that whoever
calls it chooses by ``PYTHONPATH`` which ``pipeline`` it runs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from schemas.exhibit_file import load_exhibit
from schemas.interaction import EVENT_ADAPTER
from schemas.values import encode_value
from tests.properties.world import World

TICKS = 12
"""Ticks on the way: some contacts are given up, and then turn out to go on."""


def main(events: str, exhibit: str, clock_ms: str) -> None:
    lines = Path(events).read_bytes().splitlines()
    world = World(Plan([load_exhibit(Path(exhibit))], catalogue.load()), 1)
    latest_ms = 0
    for number, line in enumerate(lines, 1):
        event = EVENT_ADAPTER.validate_json(line)
        world.say(event)
        latest_ms = max(latest_ms, int(event.occurred_at.timestamp()) * 1000)
        if number % (len(lines) // TICKS) == 0:
            world.tick(latest_ms)
            # Rates go round by the log: they are known before time freezes what they price.
            world.run()
    world.tick(int(clock_ms), publish_all=True)
    world.run()
    for value in world.values():
        sys.stdout.write(encode_value(value).decode() + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
