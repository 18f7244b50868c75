"""The entry point, with only the files that the image has, as a user without rights."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.deploy.image import LEFT_OUT, ROOT, Image, copied, image, interpreter


@pytest.fixture(scope="module")
def clean() -> Iterator[Image]:
    with image() as made:
        yield made


def test_what_is_copied_is_let_through_and_nothing_else():
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied())


def test_the_lock_of_the_image():
    script = ROOT / "docker" / "without-chdb.awk"
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    left = subprocess.run(
        ["awk", "-f", script, ROOT / "requirements.lock"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    pattern = re.compile(r"^([a-z0-9-]+)==", re.M)
    gone = set(pattern.findall(lock)) - set(pattern.findall(left))
    assert gone == {*LEFT_OUT, "chdb-core"}
    # Every requirement still has hashes.
    assert all("--hash=sha256:" in part for part in re.split(r"\n(?=\S)", left.strip()))


def test_the_entry_point(clean: Image):
    done = clean.run("cxstream", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "worker" in done.stdout
    # What is imported is in the folder, not in the repository.
    code = "import pipeline, sinks; print(pipeline.__path__[0], sinks.__path__[0])"
    shown = clean.run(interpreter(), "-P", "-c", code)
    assert shown.stdout.split() == [str(clean.folder / "pipeline"), str(clean.folder / "sinks")]


def test_a_worker_without_a_kafka_says_so_in_one_line(clean: Image):
    done = clean.run("cxstream", "worker")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "cxstream: name a Kafka by --bootstrap or CXSTREAM_BOOTSTRAP\n"


def test_a_worker_without_the_identity_key_says_so_in_one_line(clean: Image):
    done = clean.run("cxstream", "worker", "--bootstrap", "127.0.0.1:1")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
