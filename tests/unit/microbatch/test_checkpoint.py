"""The order of a checkpoint, and what is left when a step of it is refused."""

from __future__ import annotations

import asyncio

import aiokafka
import pytest
from aiokafka.errors import MessageSizeTooLargeError

from pipeline.microbatch import Batch, Broker, producer
from pipeline.microbatch.partition import Status
from pipeline.microbatch.stage import MAX_FETCHED_AHEAD, RecordSizeError
from pipeline.microbatch.store import StoreError
from tests.unit.microbatch.cluster import CHANGELOG, TP, Bench, Written


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


@pytest.fixture
def without_transactions(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch, transactional=False)


async def _journal_of_a_batch(bench: Bench) -> list[str]:
    partition = await bench.assigned()
    journal = bench.cluster.journal
    apply = partition.store.apply

    def applied(*changes):
        journal.append("memory")
        apply(*changes)

    partition.store.apply = applied
    batch = await bench.fetched(0, b"red", b"blue")

    async def outside() -> None:
        journal.append("outside")

    async with bench.stage.checkpoint(batch) as checkpoint:
        bench.count(checkpoint)
        checkpoint.write_outside(outside)
        checkpoint.after_commit(lambda: journal.append("shown"))
    await bench.ended(batch)
    return journal


async def test_outputs_then_state_then_the_offset_then_memory_then_what_is_shown(bench):
    assert await _journal_of_a_batch(bench) == [
        "outside", "begin", "outputs", "state", "offset 2", "commit", "memory", "shown",
    ]  # fmt: skip


async def test_the_same_order_where_there_are_no_transactions(without_transactions):
    assert await _journal_of_a_batch(without_transactions) == [
        "outside", "outputs", "state", "offset 2", "memory", "shown",
    ]  # fmt: skip


async def test_what_is_written_elsewhere_and_fails_lets_no_offset_pass(bench):
    await bench.assigned()
    batch = await bench.fetched(0, b"red")

    async def outside() -> None:
        raise OSError("no room")

    async with bench.stage.checkpoint(batch) as checkpoint:
        checkpoint.write_outside(outside)
    await bench.ended(batch)
    assert isinstance(bench.app.failure, OSError)
    assert (bench.cluster.offset, bench.cluster.journal) == (0, [])


async def _count_and_raise(bench: Bench, batch: Batch) -> None:
    async with bench.stage.checkpoint(batch) as checkpoint:
        bench.count(checkpoint)
        raise ZeroDivisionError


async def test_an_agent_that_raises_commits_nothing_and_ends_the_process(bench):
    partition = await bench.assigned()
    batch = await bench.fetched(0, b"red", b"blue")
    with pytest.raises(ZeroDivisionError):
        await _count_and_raise(bench, batch)
    await bench.ended(batch)
    assert isinstance(bench.app.failure, ZeroDivisionError)
    assert (bench.cluster.journal, bench.cluster.offset, partition.state) == ([], 0, {})
    # Nor is anything given to it any more.
    assert bench.stage.ready() == []


@pytest.mark.parametrize("step", ["begin", "outputs", "state", "offset", "commit"])
async def test_a_refused_checkpoint_leaves_nothing_in_memory_and_its_records_come_again(
    bench, step
):
    """Counterexample 2: what memory knew of the failed batch must not make its replay silent."""
    await bench.assigned()
    await bench.process(await bench.fetched(0, b"red"))
    bench.cluster.fails_at = step
    failed = await bench.fetched(1, b"red", b"blue")
    await bench.process(failed)
    bench.cluster.fails_at = ""
    await bench.ready()
    fresh = bench.partition
    assert fresh is not failed.partition
    assert failed.partition.memory is None, "what was derived is let go"
    assert (fresh.state, fresh.memory.total, fresh.next_offset) == ({b"red": b"1"}, 1, 1)
    assert bench.app.batch_consumer.sought[-1] == 1
    assert bench.shown == [1]
    await bench.process(await bench.fetched(1, b"red", b"blue"))
    assert bench.cluster.logs["counts"] == [(b"red", b"1"), (b"red", b"2"), (b"blue", b"1")]
    assert bench.partition.state == bench.cluster.changelog() == {b"red": b"2", b"blue": b"1"}
    assert (bench.cluster.offset, bench.shown) == (3, [1, 3])


@pytest.mark.parametrize("step", ["outputs", "state"])
async def test_a_record_too_large_ends_the_process_and_says_which(bench, step):
    """Whoever tries again stands still, and nobody sees why."""
    await bench.assigned()
    bench.cluster.fails_at, bench.cluster.refusal = step, MessageSizeTooLargeError
    batch = await bench.fetched(0, b"red")
    async with bench.stage.checkpoint(batch) as checkpoint:
        checkpoint.put(b"small", b"1")
        checkpoint.put(b"large", b"x" * 1_200)
        checkpoint.send("counts", b"told", b"y" * 30)
    await bench.ended(batch)
    assert isinstance(bench.app.failure, RecordSizeError)
    assert str(bench.app.failure) == (
        f"a topic refuses a record: 1200 bytes for {CHANGELOG}, key b'large'"
    )
    assert bench.cluster.offset == 0
    assert bench.stage.ready() == []


async def test_what_a_store_says_of_a_partition_that_went_meanwhile_ends_nothing(bench):
    partition = await bench.assigned()
    batch = await bench.fetched(0, b"red")
    async with bench.stage.checkpoint(batch):
        await bench.stage.revoke([TP], 0.0)
        assert partition.dropped
        raise StoreError("it is closed")
    assert bench.app.failure is None
    assert bench.cluster.journal == []


@pytest.mark.parametrize("step", ["outputs", "state", "offset"])
async def test_without_transactions_half_a_checkpoint_ends_the_process(without_transactions, step):
    bench = without_transactions
    await bench.assigned()
    bench.cluster.fails_at = step
    await bench.process(await bench.fetched(0, b"red"))
    assert bench.app.failure is not None
    assert (bench.cluster.offset, bench.shown) == (0, [])


async def test_whoever_held_the_partition_is_fenced_before_anything_is_read(bench):
    bench.stage.assign([TP], 1)
    await bench.ready()
    assert bench.cluster.journal == ["fence", "committed?", "restore"]


# --- what was fetched for another time ------------------------------------------------------------


async def test_records_of_before_a_seek_are_not_processed(bench):
    """Counterexample 9: what an earlier fetch brings late is not taken for new."""
    bench.cluster.offset = 3
    await bench.assigned()
    late = [Written(offset, b"red") for offset in (0, 1, 2, 3)]
    await bench.stage.deliver(bench.partition, late)
    (batch,) = bench.app.batches
    assert [record.offset for record in batch.log_records] == [3]
    await bench.process(batch)
    await bench.stage.deliver(bench.partition, late)
    assert len(bench.app.batches) == 1
    assert bench.partition.state == {b"red": b"1"}


async def test_a_partition_lost_in_its_checkpoint_keeps_and_shows_nothing(bench):
    """Counterexample 9: revoked in the middle; what comes back begins from what was committed."""
    lost = await bench.assigned()
    batch = await bench.fetched(0, b"red")
    async with bench.stage.checkpoint(batch) as checkpoint:
        bench.count(checkpoint)
        lost_task = asyncio.create_task(bench.stage.revoke([TP], budget_seconds=0))
        await lost_task
    assert lost.status is Status.DROPPED
    await bench.stage.deliver(lost, [Written(1, b"red")])
    assert (bench.cluster.journal, bench.shown) == ([], [])
    assert bench.app.batches == [batch]
    back = await bench.assigned()
    assert back is not lost
    assert (back.next_offset, back.state, back.memory.total) == (0, {}, 0)
    await bench.process(await bench.fetched(0, b"red"))
    assert bench.cluster.logs["counts"] == [(b"red", b"1")]


async def test_an_acknowledgement_for_a_partition_lost_meanwhile_changes_no_memory(bench):
    lost = await bench.assigned()
    batch = await bench.fetched(0, b"red")
    commit = lost.producer.commit

    async def lose_then_commit(group, offsets):
        await commit(group, offsets)
        lost.status = Status.DROPPED

    lost.producer.commit = lose_then_commit
    await bench.process(batch)
    assert (lost.state, bench.shown, lost.next_offset) == ({}, [], 0)


async def test_a_partition_that_comes_back_untouched_is_not_restored_again(bench):
    partition = await bench.assigned()
    await bench.process(await bench.fetched(0, b"red"))
    await bench.stage.revoke([TP], budget_seconds=1)
    bench.cluster.journal.clear()
    bench.stage.assign([TP], 2)
    await bench.ready()
    assert bench.cluster.journal == ["fence", "committed?"]
    assert bench.partition is not partition
    assert (bench.partition.state, bench.partition.next_offset) == ({b"red": b"1"}, 1)


async def test_one_that_another_worker_has_moved_meanwhile_is_restored(bench):
    await bench.assigned()
    await bench.process(await bench.fetched(0, b"red"))
    await bench.stage.revoke([TP], budget_seconds=1)
    bench.cluster.offset = 2
    bench.cluster.logs["counts.changelog"].append((b"red", b"2"))
    back = await bench.assigned()
    assert (back.state, back.memory.total, back.next_offset) == ({b"red": b"2"}, 2, 2)


# --- bounds and guarantees ------------------------------------------------------------------------


async def test_what_is_fetched_while_a_checkpoint_runs_is_bounded(bench):
    partition = await bench.assigned()
    await bench.fetched(0, b"red")
    assert partition in bench.stage.fetchable()
    ahead = [Written(1 + number, b"red") for number in range(MAX_FETCHED_AHEAD)]
    await bench.stage.deliver(partition, ahead)
    assert bench.stage.fetchable() == []
    assert len(bench.app.batches) == 1


async def test_a_producer_is_idempotent_and_waits_for_all_replicas(monkeypatch):
    """Counterexample 7: without either, an expired batch leaves a hole that nobody fills."""
    asked: dict[str, object] = {}

    def client(**options: object) -> None:
        asked.update(options)

    monkeypatch.setattr(producer, "AIOKafkaProducer", client)
    producer.BatchProducer(Broker("memory"), "group.stage.topic.0")
    assert (asked["enable_idempotence"], asked["acks"]) == (True, "all")
    assert asked["transactional_id"] == "group.stage.topic.0"
    assert asked["transaction_timeout_ms"] == 60_000
    assert aiokafka.AIOKafkaProducer is not client
