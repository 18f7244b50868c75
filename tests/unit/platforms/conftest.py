from __future__ import annotations

import os
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "samples"


@pytest.fixture(scope="session")
def samples() -> Path:
    if SAMPLES.is_dir():
        return SAMPLES
    if os.environ.get("CI") == "true":
        pytest.fail("the folder ../shared/samples is missing")
    pytest.skip("the folder ../shared/samples is missing")
