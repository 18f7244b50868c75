"""The secret of customer keys: made once, refused where it is missing or broken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.identity import CustomerKeys, IdentityKeyError, make_key, parse_key, read_key

CXSTREAM = Path(sys.executable).parent / "cxstream"
HEX = "00112233445566778899aabbccddeeff" * 2


def test_a_key_is_made_for_its_owner_only_and_never_twice(tmp_path):
    path = tmp_path / "keys" / "identity.key"
    make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(read_key(path)) == 32
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        make_key(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hello", "not in hexadecimal digits"),
        ("0011", "has 2 bytes, 16 or more are needed"),
        ("", "has 0 bytes"),
    ],
)
def test_what_is_no_key_is_refused(text, says):
    with pytest.raises(IdentityKeyError, match=says):
        parse_key(text)


def test_a_customer_has_one_key_and_blanks_have_none():
    keys = CustomerKeys(parse_key(HEX))
    # printf '+491234' | openssl dgst -sha256 -mac HMAC -macopt hexkey:..., the first 32 digits
    assert keys.key("+491234") == keys.key("  +491234 ") == "a514b45576f49628b11b5acaaf43bf9f"
    assert keys.key("Ann@Example.org") == keys.key("ann@example.ORG")
    assert [keys.key(blank) for blank in (None, "", " ", "anonymous", "Withheld")] == [None] * 5
    assert keys.key("+491234") != CustomerKeys(parse_key(HEX[::-1])).key("+491234")


def _worker(tmp_path, **environment):
    return subprocess.run(
        [CXSTREAM, "worker", "--bootstrap", "127.0.0.1:9"],
        env={**os.environ, "CXSTREAM_DATA_DIR": str(tmp_path), **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_worker_without_a_key_does_not_start(tmp_path):
    ended = _worker(tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "cxstream: there is no identity key in var/identity.key; make one with "
        "`cxstream keys make var/identity.key` and give the same to every worker"
    ]
    assert not (tmp_path / "var").exists()


def test_a_bad_key_in_the_environment_is_refused_without_telling_it(tmp_path):
    ended = _worker(tmp_path, CXSTREAM_IDENTITY_KEY="not-so-secret")
    assert ended.returncode == 2
    assert "the identity key is not in hexadecimal digits" in ended.stderr
    assert "not-so-secret" not in ended.stderr


def test_the_command_makes_a_key(tmp_path):
    made = subprocess.run(
        [CXSTREAM, "keys", "make", "k"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert made.stdout == "made k\n"
    again = subprocess.run(
        [CXSTREAM, "keys", "make", "k"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (again.returncode, again.stderr) == (1, "cxstream: k is there already\n")
