"""Where state is kept is a setting; what cannot be had stops the start with one line."""

from __future__ import annotations

import sys

import pytest

from pipeline.cli.settings import read_settings
from pipeline.microbatch import Broker, MemoryStores
from pipeline.microbatch.rocksdb import RocksStores
from pipeline.runtime import MissingExtraError, StateError, wiring_of

KAFKA = Broker("127.0.0.1:1")


@pytest.fixture
def settings(monkeypatch, tmp_path):
    monkeypatch.setenv("CXSTREAM_STATE", "rocksdb")
    monkeypatch.setenv("CXSTREAM_STATE_DIR", str(tmp_path / "state"))
    return read_settings(roles="journeys")


def test_in_memory_unless_asked_for(monkeypatch):
    monkeypatch.delenv("CXSTREAM_STATE", raising=False)
    assert isinstance(wiring_of(read_settings(roles="journeys"), KAFKA, ()).stores, MemoryStores)


def test_on_disk_in_the_folder(settings, tmp_path):
    stores = wiring_of(settings, KAFKA, ()).stores
    assert isinstance(stores, RocksStores)
    assert (tmp_path / "state").is_dir()
    with pytest.raises(StateError, match=r"another worker keeps its state in .*/state: give each"):
        wiring_of(settings, KAFKA, ())
    stores.close()


def test_beside_other_data_of_a_demo(monkeypatch, tmp_path):
    monkeypatch.delenv("CXSTREAM_STATE_DIR", raising=False)
    assert read_settings(data_dir=tmp_path).state_dir == tmp_path / "state"


def test_without_the_extra(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "rocksdict", None)
    monkeypatch.delitem(sys.modules, "pipeline.microbatch.rocksdb")
    with pytest.raises(MissingExtraError, match=r"-r requirements-rocksdb\.lock"):
        wiring_of(settings, KAFKA, ())


def test_without_a_log_that_lasts(settings):
    with pytest.raises(StateError, match="CXSTREAM_STATE=rocksdb needs a Kafka"):
        wiring_of(settings, Broker("127.0.0.1:1", transactional=False), ())


def test_in_a_folder_that_cannot_be_made(settings, monkeypatch, tmp_path):
    (tmp_path / "state").write_text("a file", "ascii")
    with pytest.raises(StateError, match=r"CXSTREAM_STATE_DIR=.*/state: "):
        wiring_of(settings, KAFKA, ())


def test_nowhere_else(monkeypatch, capsys):
    monkeypatch.setenv("CXSTREAM_STATE", "redis")
    with pytest.raises(SystemExit) as ended:
        read_settings()
    assert ended.value.code == 2
    assert (
        "setting CXSTREAM_STATE: Input should be 'memory' or 'rocksdb'" in capsys.readouterr().err
    )
