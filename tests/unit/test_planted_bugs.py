"""Bugs that `make audit` plants fit the code as it is; whether each is found takes longer."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipeline
from tests.audit.bugs import BUGS, Bug


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_be_planted(bug: Bug) -> None:
    text = (Path(pipeline.__file__).parent / bug.file).read_text("utf-8")
    assert text.count(bug.right) == 1, f"{bug.file} has changed"
    assert bug.wrong != bug.right
