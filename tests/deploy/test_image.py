"""The entry point, with only the files that the image has, as a user without rights."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.embedded.process import free_ports
from tests.integration.site import wait_for
from tests.support.services import kafka_server

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text("utf-8")
NOBODY = 65_534
LEFT_OUT = ("chdb", "numpy", "pandas", "pyarrow")


def copied() -> list[str]:
    """What the build copies from the repository."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)
    return [name for line in lines for name in line.split()]


@pytest.fixture
def image() -> Iterator[Path]:
    """A folder with what the image has and nothing else, readable by all."""
    # Folders that pytest makes lie where only their owner can enter.
    folder = Path(tempfile.mkdtemp(prefix="cxstream-image-"))
    folder.chmod(0o755)
    try:
        for name in copied():
            source, target = ROOT / name, folder / Path(name).name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        # Packages that the lock of the image leaves out cannot be imported here either.
        for name in LEFT_OUT:
            (folder / f"{name}.py").write_text(f"raise ImportError('no {name} in the image')\n")
        yield folder
    finally:
        shutil.rmtree(folder)


def command(folder: Path, *arguments: str) -> list[str]:
    code = "import sys; from pipeline.cli.main import main; sys.argv[0] = 'cxstream'; main()"
    argv = [sys.executable, "-P", "-c", code, *arguments]
    if os.geteuid() == 0:
        rights = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
        argv = ["setpriv", *rights, "--bounding-set=-all", *argv]
    return argv


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/nonexistent", **more,
    }  # fmt: skip


def run(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *arguments), env=environment(folder, **more), cwd="/",
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


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


def test_the_entry_point(image: Path):
    done = run(image, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "worker" in done.stdout
    # What is imported is in the folder, not in the repository.
    code = "import pipeline, sinks; print(pipeline.__path__[0], sinks.__path__[0])"
    shown = subprocess.check_output(
        [sys.executable, "-P", "-c", code], env=environment(image), cwd="/", text=True
    )
    assert shown.split() == [str(image / "pipeline"), str(image / "sinks")]


def test_a_worker_without_a_kafka_says_so_in_one_line(image: Path):
    done = run(image, "worker")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "cxstream: name a Kafka by --bootstrap or CXSTREAM_BOOTSTRAP\n"


def test_a_worker_without_the_identity_key_says_so_in_one_line(image: Path):
    done = run(image, "worker", "--bootstrap", "127.0.0.1:1")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.kafka
def test_a_worker_lives_there(image: Path, tmp_path: Path):
    """The container's check says no before the worker is there, and yes after; SIGTERM ends it."""
    (port,) = free_ports(1)
    with kafka_server(tmp_path) as kafka:
        told = {
            "CXSTREAM_BOOTSTRAP": kafka.bootstrap, "CXSTREAM_PARTITIONS": "2",
            "CXSTREAM_IDENTITY_KEY": "ab" * 32, "CXSTREAM_METRICS_PORT": str(port),
            "CXSTREAM_ROLES": "intake,lifecycle,journeys,exhibits",
        }  # fmt: skip
        made = run(image, "topics", "apply", **told)
        assert made.returncode == 0, made.stderr
        assert run(image, "health", **told).returncode == 1
        with subprocess.Popen(
            command(image, "worker"), env=environment(image, **told), cwd="/",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as worker:  # fmt: skip
            try:
                wait_for(lambda: _get(port, "/health/ready") == 200, "the worker", 40)
                assert run(image, "health", **told).returncode == 0
            finally:
                worker.terminate()
            output, _ = worker.communicate(timeout=25)
        assert worker.returncode == 0, output


def _get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
