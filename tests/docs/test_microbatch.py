from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.embedded.broker import EmbeddedBroker
from tests.docs.page import ROOT, blocks
from tests.support.services import kafka_server

README = ROOT / "pipeline" / "microbatch" / "README.md"
WORDS = ["red", "blue", "red", "green", "red", "blue"]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (block,) = blocks(README)
    assert (block.how, block.language) == ("words.py", "python")
    file = tmp_path / block.how
    file.write_text(block.text, "utf-8")
    return file


@contextmanager
def running(program: Path, bootstrap: str, kind: str, **environment: str) -> Iterator[Popen[bytes]]:
    child = Popen(
        [sys.executable, str(program), bootstrap, kind],
        stdout=PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


async def write(bootstrap: str, words: list[str]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for word in words:
            await producer.send_and_wait("words", word.encode(), key=word.encode())


async def read(bootstrap: str, count: int) -> list[tuple[str, int]]:
    """The first ``count`` committed records of ``counts``, and that no more follow them."""
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign([TopicPartition("counts", 0)])
        found = [await asyncio.wait_for(consumer.getone(), 60) for _ in range(count)]
        more = await consumer.getmany(timeout_ms=1_000)
    assert not more
    return [(record.key.decode(), int(record.value)) for record in found]


def committed(child: Popen[bytes], upto: int) -> int:
    """Records that the program says it has committed, read until there are ``upto``."""
    total = 0
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith(b"committed "):
            total += int(line.split()[1])
            if total >= upto:
                break
    return total


EXPECTED = [("red", 1), ("blue", 1), ("red", 2), ("green", 1), ("red", 3), ("blue", 2)]


async def test_the_example_counts_on_the_embedded_broker(program):
    with EmbeddedBroker() as broker:
        for topic in ("words", "counts"):
            broker.create_topic(topic, 1)
        await write(broker.bootstrap, WORDS)
        with running(program, broker.bootstrap, "embedded") as child:
            # The broker here does not know read_committed, and nothing is ever aborted.
            assert await read(broker.bootstrap, len(WORDS)) == EXPECTED
            assert await asyncio.wait_for(asyncio.to_thread(committed, child, 6), 30) == 6


@pytest.mark.kafka
@pytest.mark.parametrize(
    "point", ["before_outputs", "after_outputs", "after_state", "after_commit"]
)
async def test_the_example_counts_once_though_it_dies_in_its_checkpoint(program, kafka, point):
    """Killed at each step of the second checkpoint, started anew: every word once, in order."""
    admin = AdminClient({"bootstrap.servers": kafka})
    topics = ("words", "counts", "counts.changelog")
    for name in topics:
        admin.create_topics([NewTopic(name, 1, 1)])[name].result()
    try:
        await write(kafka, WORDS[:3])
        with running(program, kafka, "kafka", CXSTREAM_FAIL_POINT=f"count.{point}:2") as child:
            assert await read(kafka, 3) == EXPECTED[:3]
            await write(kafka, WORDS[3:])
            assert await asyncio.to_thread(child.wait, 60) == -signal.SIGKILL
        with running(program, kafka, "kafka"):
            assert await read(kafka, len(WORDS)) == EXPECTED
    finally:
        for future in admin.delete_topics(list(topics), operation_timeout=30).values():
            future.result()
        groups = admin.delete_consumer_groups(["word-counter"])
        for future in groups.values():
            future.exception(30)


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    with kafka_server() as server:
        yield server.bootstrap
