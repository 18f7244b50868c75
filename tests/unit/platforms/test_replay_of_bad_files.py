"""What ``cxstream replay`` says of files that are not what it was told they are."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.topics import MAX_RECORD_BYTES

from .test_asterisk_queue_log import line

CXSTREAM = Path(sys.executable).parent / "cxstream"


def noise(size: int) -> bytes:
    """Bytes that nothing can pack, the same each time."""
    return hashlib.shake_256(b"noise").digest(size)


def replay(*arguments: str | Path) -> tuple[int, dict, str]:
    """Exit code, summary and what was said of a replay."""
    done = subprocess.run(
        [CXSTREAM, "replay", "--json", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    printed = done.stdout.splitlines()
    return done.returncode, json.loads(printed[-1])["summary"] if printed else {}, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-file"], "no-such-file: no such file"),
        (["."], ".: a directory, expected a file"),
        (["--platform=rassa", __file__], "unknown platform 'rassa', did you mean 'rasa'?"),
        (["--platform=rasa", "--option=zone=UTC", __file__], "unknown option 'zone'"),
        (["--platform=rasa", "--option=time_zone=UTC", __file__], "not used by platform 'rasa'"),
        (
            ["--platform=asterisk_queue_log", "--option=time_zone=Europe/Berln", __file__],
            "did you mean 'Europe/Berlin'?",
        ),
    ],
)
def test_what_cannot_be_started_is_one_line_and_bad_input(arguments, message):
    code, summary, said = replay(*arguments)
    assert (code, summary) == (2, {})
    assert message in said
    assert len(said.splitlines()) == 1


def test_an_empty_file_is_nothing_read(tmp_path):
    (tmp_path / "empty").touch()
    code, summary, said = replay("--platform=rasa", tmp_path / "empty")
    assert (code, summary["records"], said) == (3, 0, "cxstream: nothing was read\n")


def test_a_file_of_another_platform_is_refused_record_by_record_and_said(tmp_path):
    log = tmp_path / "queue_log"
    log.write_bytes(b"\n".join([line("CONNECT", "1"), line("COMPLETEAGENT", "1", "2")]))
    code, summary, said = replay("--platform=rasa", log)
    assert (code, summary["records"], summary["dead_letters"]) == (0, 2, {"bad_json": 2})
    assert said == "cxstream: all records were refused: were these files written by rasa?\n"


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_gzip_file_is_named(tmp_path, damage):
    log = tmp_path / "queue_log.gz"
    packed = bytearray(gzip.compress(line("ENTERQUEUE", noise(60_000).hex())))
    if damage == "cut":
        del packed[5_000:]
    else:
        packed[5_000:5_100] = bytes(100)
    log.write_bytes(packed)
    code, _, said = replay("--platform=asterisk_queue_log", log)
    assert code == 1
    assert said.startswith(f"cxstream: {log}: cannot be read to its end: ")


def test_junk_among_good_lines_is_all_accounted_for(tmp_path):
    good = [line("ENTERQUEUE", "", "5550100", call=f"7.{n}", agent="NONE") for n in range(10)]
    junk = [
        noise(2_000_000).replace(b"\n", b" "),
        b"[" * 500_000,
        b'{"a":' * 100_000,
        b"x|" * (MAX_RECORD_BYTES // 2 + 1),
        b"\xff\xfe\x00",
    ]
    log = tmp_path / "queue_log"
    log.write_bytes(b"\n".join([*good[:5], *junk, *good[5:]]))
    code, summary, _ = replay("--platform=asterisk_queue_log", log)
    assert (code, summary["records"], summary["events"]) == (0, 15, 20)
    assert summary["dead_letters"] == {"bad_json": 2, "invalid_event": 1, "too_large": 2}
