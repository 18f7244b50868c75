"""Every promise and every counterexample names a test that exists."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.page import ROOT

PAGE = ROOT / "docs" / "guarantees.md"
EXACTNESS = ROOT / "docs" / "exactness.md"
_NAME = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
NAMED = _NAME.findall(PAGE.read_text("utf-8"))


@pytest.mark.parametrize(
    ("file", "name"), sorted({*NAMED, *_NAME.findall(EXACTNESS.read_text("utf-8"))})
)
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    functions = {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not name or name in functions


def test_every_row_names_one_and_every_trial_is_named() -> None:
    rows = re.findall(
        r"^\| (?!fails|comes|happens|---)(.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) > 10
    assert [row for row in rows if "`tests/" not in row and not row.endswith("the same")] == []
    trials = {
        (str(file.relative_to(ROOT)), name)
        for folder in ("faults", "soak")
        for file in (ROOT / "tests" / folder).glob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }
    assert trials - {*NAMED} == set()


def test_every_counterexample_has_a_test_and_every_test_of_them_is_named() -> None:
    text = EXACTNESS.read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| [^|]{20,} \| (.*) \|$", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 37))
    named = {found for _, tests in rows for found in _NAME.findall(tests)}
    assert all(name for _, name in named), "a test, not a file"
    numbered = {
        (str(file.relative_to(ROOT)), name)
        for file in (ROOT / "tests" / "counterexamples").glob("test_*.py")
        for name in re.findall(r"^def (test_\d+_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }
    assert numbered - named == set()
