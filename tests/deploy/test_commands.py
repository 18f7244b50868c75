"""Every command of compose.yaml and of the manifests, in a clean folder, on real services.

Commands, settings and their order are read of the files; only addresses and paths differ.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from pipeline.embedded.process import free_ports
from pipeline.settings import ROLES
from tests.deploy.image import DOCKERFILE, NOBODY, Image, image
from tests.deploy.test_compose import OURS, SERVICES
from tests.deploy.test_kubernetes import BASE, documents, settings
from tests.integration.process import wait_for
from tests.integration.warehouse import client_of
from tests.support.services import clickhouse_server, kafka_server

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

PASSWORD = "${CLICKHOUSE_PASSWORD:?set it in docker/.env}"  # noqa: S105  where compose puts it


@pytest.fixture
def kafka() -> Iterator[KafkaServer]:
    with kafka_server() as server:
        yield server


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[EmbeddedClickHouse]:
    with clickhouse_server() as server:
        yield server


@pytest.fixture
def clean() -> Iterator[Image]:
    with image() as made:
        yield made


def entry(service: Mapping[str, Any]) -> list[str]:
    """What a service of compose runs."""
    command = [str(part) for part in service["command"]]
    entrypoint = service.get("entrypoint", ["cxstream"])
    return [_filled(part.replace("$$", "$")) for part in [*entrypoint, *command]]


def _filled(text: str) -> str:
    """Compose's variables by their defaults."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def reached(
    given: Mapping[str, Any],
    clean: Image,
    kafka: KafkaServer,
    clickhouse: EmbeddedClickHouse,
    database: str,
) -> dict[str, str]:
    """Settings as the file gives them, with addresses and paths of this machine."""
    key = clean.volume / "identity.key"
    here = {
        "CXSTREAM_BOOTSTRAP": kafka.bootstrap,
        "CXSTREAM_CLICKHOUSE_HOST": clickhouse.host,
        "CXSTREAM_CLICKHOUSE_PORT": str(clickhouse.http_port),
        "CXSTREAM_CLICKHOUSE_USER": clickhouse.user,
        "CXSTREAM_CLICKHOUSE_PASSWORD": clickhouse.password,
        "CXSTREAM_CLICKHOUSE_DATABASE": database,
        "CXSTREAM_EXHIBITS": str(clean.folder / "schemas" / "exhibits" / "default.yaml"),
        "CXSTREAM_DATA_DIR": str(clean.volume),
        "CXSTREAM_IDENTITY_KEY_FILE": str(key),
        "CXSTREAM_REPLICATION": "1",
    }
    (port,) = free_ports(1)
    told = {name: _filled(str(value)) for name, value in given.items()}
    return {
        **told,
        **here,
        "CXSTREAM_METRICS_HOST": "127.0.0.1",
        "CXSTREAM_METRICS_PORT": str(port),
    }


@contextmanager
def running(clean: Image, argv: list[str], given: dict[str, str], ends: int = 0) -> Iterator[None]:
    """A process that is ended as a container engine does, and must end in order."""
    log = clean.volume.parent / f"{given['CXSTREAM_METRICS_PORT']}.log"
    with log.open("w") as out, clean.start(argv, given, log=out) as process:
        try:
            yield
            assert process.poll() is None, log.read_text("utf-8")
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
    assert process.returncode == ends, log.read_text("utf-8")


def ready(given: Mapping[str, str]) -> bool:
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(given["CXSTREAM_METRICS_PORT"]), timeout=5
    )
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def health() -> list[str]:
    """The command of the image's health check."""
    found = re.search(r"HEALTHCHECK .* CMD \[(.*)\]", DOCKERFILE)
    assert found is not None
    return re.findall(r'"([^"]+)"', found[1])


def test_compose(clean: Image, kafka: KafkaServer, clickhouse: EmbeddedClickHouse):
    """Set-up twice, as at each start; a worker; a center whose events reach the tables."""
    told = {
        name: reached(SERVICES[name]["environment"], clean, kafka, clickhouse, "compose")
        for name in OURS
    }
    assert SERVICES["worker"]["environment"]["CXSTREAM_CLICKHOUSE_PASSWORD"] == PASSWORD
    before = clean.files()
    for _ in range(2):
        done = clean.run(*entry(SERVICES["setup"]), **told["setup"])
        assert done.returncode == 0, done.stderr
    key = clean.volume / "identity.key"
    assert (key.stat().st_mode & 0o777, key.stat().st_uid) == (0o600, _user())
    assert clean.run(*health(), **told["worker"]).returncode == 1
    with running(clean, entry(SERVICES["worker"]), told["worker"]):
        wait_for(lambda: ready(told["worker"]), "the worker", 120)
        assert clean.run(*health(), **told["worker"]).returncode == 0
        simulator = entry(SERVICES["simulator"])
        simulator[simulator.index("kafka:9092")] = kafka.bootstrap
        with (
            # It keeps nothing, so it has nothing to do at its end.
            running(clean, simulator, told["simulator"], -signal.SIGTERM),
            client_of(clickhouse, "compose") as client,
        ):
            wait_for(
                lambda: client.query("SELECT count() FROM events").first_row[0] > 20, "events", 90
            )
    assert clean.files() == before


def test_kubernetes(clean: Image, kafka: KafkaServer, clickhouse: EmbeddedClickHouse):
    """The Job, then one worker of each Deployment; each knows the secrets that its pod has."""
    (job,) = documents(BASE / "setup.yaml")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    base = reached(settings(), clean, kafka, clickhouse, "kubernetes")
    assert clean.run("cxstream", "keys", "make", base["CXSTREAM_IDENTITY_KEY_FILE"]).returncode == 0
    done = clean.run(*container["command"], *container["args"], **base)
    assert done.returncode == 0, done.stderr
    before = clean.files()
    with ExitStack() as stack:
        workers = []
        for role in ROLES:
            deployment = documents(BASE / f"{role}.yaml")[0]
            (pod,) = deployment["spec"]["template"]["spec"]["containers"]
            given = {**base, "CXSTREAM_METRICS_PORT": str(free_ports(1)[0])}
            if "env" not in pod:
                del given["CXSTREAM_CLICKHOUSE_PASSWORD"]
            if "volumeMounts" not in pod:
                given["CXSTREAM_IDENTITY_KEY_FILE"] = str(clean.volume / "none")
            stack.enter_context(running(clean, ["cxstream", *pod["args"]], given))
            workers.append(given)
        for given in workers:
            wait_for(lambda given=given: ready(given), "a worker", 180)
    assert clean.files() == before


def _user() -> int:
    return NOBODY if os.geteuid() == 0 else os.geteuid()
