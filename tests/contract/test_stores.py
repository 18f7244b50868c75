"""Where state is kept: one suite over every store, and what of a store on disk is trusted."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.embedded.kafka import KafkaServer
from pipeline.microbatch.rocksdb import FolderInUseError, RocksStores
from pipeline.microbatch.store import MemoryStores, Store, StoreError, Stores

pytestmark = pytest.mark.kafka

TOMBSTONES_MS = 86_400_000
CHANGELOG = "stores.changelog"


def make_topic(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    config = {"cleanup.policy": "compact", "delete.retention.ms": str(TOMBSTONES_MS)}
    admin.create_topics([NewTopic(CHANGELOG, 2, 1, config=config)])[CHANGELOG].result()


def delete_topic(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.delete_topics([CHANGELOG], operation_timeout=20)[CHANGELOG].result()


@pytest.fixture
def changelog(kafka: KafkaServer) -> Iterator[str]:
    """Address of a Kafka that has the changelog."""
    make_topic(kafka.bootstrap)
    yield kafka.bootstrap
    delete_topic(kafka.bootstrap)


@pytest.fixture
def on_disk(kafka: KafkaServer, tmp_path: Path) -> Iterator[RocksStores]:
    stores = RocksStores(tmp_path, {"bootstrap.servers": kafka.bootstrap})
    yield stores
    stores.close()


@pytest.fixture(params=["memory", "rocksdb"])
def stores(request: pytest.FixtureRequest, changelog: str) -> Stores:
    if request.param == "memory":
        return MemoryStores()
    found: RocksStores = request.getfixturevalue("on_disk")
    return found


@pytest.fixture
async def store(stores: Stores) -> AsyncIterator[Store]:
    opened = await stores.open("group.stage", CHANGELOG, 1)
    yield opened
    opened.close()


# --- every store ----------------------------------------------------------------------------------


async def test_a_new_store_is_empty_and_at_the_beginning(store: Store) -> None:
    assert store.position == 0
    assert (dict(store.view.items()), len(store.view), list(store.view)) == ({}, 0, [])
    assert store.view.get(b"a") is None
    assert b"a" not in store.view


async def test_what_was_applied_last_stands(store: Store) -> None:
    store.apply({b"a": b"1", b"b": b"1", b"p": b"no position", b"": b"no key"}, 4, time.time())
    store.apply({b"a": None, b"b": b"2", b"c": None, b"d": b"x" * 400_000}, 8, time.time())
    expected = {b"b": b"2", b"d": b"x" * 400_000, b"p": b"no position", b"": b"no key"}
    assert dict(store.view.items()) == expected
    assert sorted(store.view) == [b"", b"b", b"d", b"p"]
    assert len(store.view) == 4
    assert [store.view.get(key) for key in (b"a", b"b", b"c")] == [None, b"2", None]
    with pytest.raises(KeyError):
        store.view[b"a"]


async def test_a_scan_sees_what_stood_when_it_began(store: Store) -> None:
    store.apply({b"%03d" % n: b"old" for n in range(300)}, 300, time.time())
    keys = [key for key in store.view if key.startswith(b"0")]
    store.apply(dict.fromkeys(keys, b"new"), 400, time.time())
    assert len(keys) == 100
    assert sum(value == b"new" for _, value in store.view.items()) == 100


async def test_a_store_that_was_cleared_is_a_new_one(store: Store) -> None:
    store.apply({b"a": b"1"}, 1, time.time())
    store.clear()
    assert (store.position, dict(store.view)) == (0, {})
    store.apply({b"b": b"1"}, 1, time.time())
    assert dict(store.view) == {b"b": b"1"}


# --- on disk --------------------------------------------------------------------------------------


async def opened(stores: RocksStores) -> Store:
    return await stores.open("group.stage", CHANGELOG, 1)


async def test_the_next_owner_finds_state_and_position(
    changelog: str, on_disk: RocksStores
) -> None:
    first = await opened(on_disk)
    first.apply({b"a": b"1"}, 5, time.time())
    first.apply({b"b": b"1"}, None, time.time())  # where in the changelog that is, nobody said
    first.close()
    with pytest.raises(StoreError):
        first.view.get(b"a")
    found = await opened(on_disk)
    assert (found.position, dict(found.view)) == (5, {b"a": b"1", b"b": b"1"})
    other = await on_disk.open("group.stage", CHANGELOG, 0)
    assert (other.position, dict(other.view)) == (0, {})
    for store in (found, other):
        store.close()


async def test_a_store_older_than_half_of_the_life_of_tombstones_is_emptied(
    changelog: str, on_disk: RocksStores
) -> None:
    half_seconds = TOMBSTONES_MS / 2 / 1000
    for age_seconds, left in ((half_seconds - 60, {b"a": b"1"}), (half_seconds + 60, {})):
        store = await opened(on_disk)
        store.apply({b"a": b"1"}, 5, time.time() - age_seconds)
        store.close()
        store = await opened(on_disk)
        assert dict(store.view) == left
        store.close()


async def test_a_store_that_was_not_filled_to_the_end_is_emptied(
    changelog: str, on_disk: RocksStores
) -> None:
    store = await opened(on_disk)
    store.apply({b"a": b"1"}, 5)
    store.close()
    store = await opened(on_disk)
    assert (store.position, dict(store.view)) == (0, {})
    store.close()


async def test_a_store_of_an_earlier_topic_of_the_name_is_emptied(
    kafka: KafkaServer, on_disk: RocksStores
) -> None:
    make_topic(kafka.bootstrap)
    try:
        store = await opened(on_disk)
        store.apply({b"a": b"1"}, 5, time.time())
        store.close()
        delete_topic(kafka.bootstrap)
        make_topic(kafka.bootstrap)
        store = await opened(on_disk)
        assert (store.position, dict(store.view)) == (0, {})
        store.close()
    finally:
        delete_topic(kafka.bootstrap)


def spoil(files: list[Path]) -> None:
    """Turn bytes in the middle of each file around."""
    assert files
    for file in files:
        found = bytearray(file.read_bytes())
        middle = len(found) // 2
        found[middle : middle + 64] = bytes(byte ^ 0xFF for byte in found[middle : middle + 64])
        file.write_bytes(found)


@pytest.mark.parametrize("pattern", ["*.sst", "CURRENT", "MANIFEST-*"])
async def test_files_that_are_broken_are_told_and_emptied(
    changelog: str, on_disk: RocksStores, tmp_path: Path, pattern: str
) -> None:
    store = await opened(on_disk)
    store.apply({b"%05d" % n: b"%d" % n * 20 for n in range(20_000)}, 20_000, time.time())
    store.close()
    spoil(list((tmp_path / "group.stage" / "1").glob(pattern)))
    store = await opened(on_disk)
    if store.position:  # a block is read when it is asked for, and not before
        with pytest.raises(StoreError, match="cannot be read"):
            dict(store.view.items())
        store.close()
        store = await opened(on_disk)
    assert (store.position, dict(store.view)) == (0, {})
    store.apply({b"a": b"1"}, 1, time.time())
    store.close()
    store = await opened(on_disk)
    assert (store.position, dict(store.view)) == (1, {b"a": b"1"})
    store.close()


def test_a_folder_is_of_one_process(tmp_path: Path) -> None:
    nowhere = {"bootstrap.servers": "127.0.0.1:1"}
    first = RocksStores(tmp_path, nowhere)
    with pytest.raises(FolderInUseError, match="another worker keeps its state in"):
        RocksStores(tmp_path, nowhere)
    first.close()
    RocksStores(tmp_path, nowhere).close()


async def test_a_changelog_that_is_not_there_is_told(on_disk: RocksStores) -> None:
    with pytest.raises(ConnectionError, match=r"no\.such\.changelog"):
        await on_disk.open("group.stage", "no.such.changelog", 0)
