"""Code that runs in a worker before anything else: faults from within, at a place that is known."""

from __future__ import annotations

from pathlib import Path

_LATE_INSERT = """
import os, signal
from pathlib import Path
from sinks.clickhouse.writer import ClickHouseWriter

attempt = ClickHouseWriter._attempt
passes = 0

async def late(self, table, send):
    global passes
    passes += table == "facts_interaction"
    frozen = table == "facts_interaction" and passes == 2
    if frozen:
        os.kill(os.getpid(), signal.SIGSTOP)
    await attempt(self, table, send)
    if frozen:
        Path({done!r}).touch()

ClickHouseWriter._attempt = late
"""


def late_insert(done: Path) -> str:
    """The worker stops as by SIGSTOP before its second insert of interactions.

    Once it was woken and the rows were taken, ``done`` is there.
    """
    return _LATE_INSERT.format(done=str(done))


_HELD_COMMIT = """
import asyncio
from pathlib import Path
from pipeline.microbatch.producer import BatchProducer

commit = BatchProducer.commit
held, go = Path({held!r}), Path({go!r})

async def slow(self, group, offsets):
    if any(tp.topic == "cx.interactions" for tp in offsets) and not go.exists():
        held.touch()
        while not go.exists():
            await asyncio.sleep(0.05)
    await commit(self, group, offsets)

BatchProducer.commit = slow
"""


def held_commit(held: Path, go: Path) -> str:
    """Commits of lifecycle wait for ``go``; ``held`` is there once one does."""
    return _HELD_COMMIT.format(held=str(held), go=str(go))


MORE: bytes = b"told by a later version"
"""Ends every record between stages, and every state, that the next version writes."""

NEXT_VERSION = f"""
import msgspec
from pipeline.stages import wire

def longer(encode):
    def encoded(message):
        told = msgspec.msgpack.decode(encode(message))
        if isinstance(told, list):
            return msgspec.msgpack.encode([*told, {MORE!r}])
        return msgspec.msgpack.encode({{**told, "more": {MORE!r}}})
    return encoded

keys = wire.encode_share
wire.share_key = lambda source, key: keys(wire._ShareKey(source, *key))
for name in ("tick", "restart", "rate", "share", "contact", "performance"):
    setattr(wire, "encode_" + name, longer(getattr(wire, "encode_" + name)))

from pipeline.stages import clock
clock.encode_clock = longer(clock.encode_clock)
from pipeline.stages import configuration
configuration.encode_configuration = longer(configuration.encode_configuration)
from pipeline.stages import journeys, performers
journeys.encode_state = longer(journeys.encode_state)
performers.encode_state = longer(performers.encode_state)
"""
"""A version that says one thing more in every message between stages, and in what it stores."""


_MOVED_CLOCK = """
import time
from pathlib import Path

time_ns, offset = time.time_ns, Path({offset!r})

def moved():
    seconds = int(offset.read_text() or 0) if offset.exists() else 0
    return time_ns() + seconds * 1_000_000_000

time.time_ns = moved
"""


def moved_clock(offset: Path) -> str:
    """The wall clock is ahead by as many seconds as ``offset`` says, once it is there."""
    return _MOVED_CLOCK.format(offset=str(offset))
