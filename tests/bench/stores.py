"""What a store of state costs, without Kafka: ``python -m tests.bench.stores [KEYS]``.

Each of many keys is read and written ten times, in batches of a thousand, and grows to 4,200 bytes,
as the history of a customer with ten contacts does. Each store is measured in a process of its own.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil
from rich.console import Console
from rich.table import Table

from pipeline.microbatch.rocksdb import RocksStore, RocksStores
from pipeline.microbatch.store import MemoryStore, Store

BATCH: Final = 1_000
ROUNDS: Final = 10
GROWTH_BYTES: Final = 420


def measure(kind: str, keys: int, folder: Path) -> dict[str, float]:
    """CPU and memory of a store that is filled, scanned, and opened again."""
    stores = RocksStores(folder / "state", {})

    def opened() -> Store:
        if kind == "memory":
            return MemoryStore()
        return RocksStore(folder / "state" / "0", "bench", stores._options())

    # Values that can be packed about as well as histories: half of each is the same in all.
    noise = random.Random(1).randbytes(GROWTH_BYTES * ROUNDS // 2)  # noqa: S311 - nothing secret
    process = psutil.Process()
    store, idle_bytes, began = opened(), process.memory_info().rss, time.process_time()
    for turn in range(1, ROUNDS + 1):
        for first in range(0, keys, BATCH):
            changes: dict[bytes, bytes | None] = {}
            for number in range(first, min(first + BATCH, keys)):
                key = b"c%032x" % number
                before = store.view.get(key) or b""
                changes[key] = before + noise[: GROWTH_BYTES // 2] + key * 6
            store.apply(changes, turn, time.time())
    filled_seconds = time.process_time() - began
    held_bytes = process.memory_info().rss - idle_bytes
    store.close()
    began = time.process_time()
    again = opened() if kind == "rocksdb" else store
    found = sum(1 for _ in again.view.items())
    assert found == keys
    scanned_seconds = time.process_time() - began
    again.close()
    stores.close()
    return {
        "read and written, us a key": filled_seconds / keys / ROUNDS * 1e6,
        "resident, bytes a key": held_bytes / keys,
        "opened and scanned, us a key": scanned_seconds / keys * 1e6,
        "on disk, bytes a key": _bytes_below(folder) / keys,
    }


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    """Print both stores side by side, or measure one of them."""
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    if len(sys.argv) > 2:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(sys.argv[2], keys, Path(folder))))
        return
    found = {}
    for kind in ("memory", "rocksdb"):
        command = [sys.executable, "-m", "tests.bench.stores", str(keys), kind]
        found[kind] = json.loads(subprocess.check_output(command))
    table = Table("CPU and memory", *found, title=f"{keys:,} keys, written {ROUNDS} times")
    for name in found["memory"]:
        table.add_row(name, *(f"{found[kind][name]:,.1f}" for kind in found))
    Console().print(table)


if __name__ == "__main__":
    main()
