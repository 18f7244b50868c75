from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.golden.harness import LONG_AGO, Played, center, replay_facts, replay_final
from tests.golden.table import Json, read
from tests.support.services import kafka_server

EXAMPLES = [read(path) for path in sorted((Path(__file__).parent / "examples").glob("*.md"))]


@pytest.fixture(scope="session")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    """Rows of one replay of all examples, when everything is over."""
    return replay_final(tmp_path_factory.mktemp("replay"), EXAMPLES)


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Facts of one replay of all examples that tell a journey, as a file."""
    told = [example for example in EXAMPLES if example.stories]
    return replay_facts(tmp_path_factory.mktemp("facts"), told)


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """All examples, played once on a real Kafka before the first test that asks."""
    folder = tmp_path_factory.mktemp("center")
    with (
        kafka_server(properties=LONG_AGO) as kafka,
        center(kafka.bootstrap, folder, EXAMPLES) as running,
    ):
        yield running.play(EXAMPLES)
