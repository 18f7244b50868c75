"""Mutations fit the source, whoever changes it: ``make mutations`` shows that tests see them."""

from __future__ import annotations

import ast
import re
from xml.etree.ElementTree import Element, SubElement

import pytest

from tests.mutations.__main__ import ROOT, break_it, outcome_of
from tests.mutations.catalogue import MUTATIONS, Mutation

NAMES = [mutation.name for mutation in MUTATIONS]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=NAMES)
def test_a_mutation_fits_the_source_and_its_test_exists(mutation, tmp_path):
    copy = tmp_path / mutation.file
    copy.parent.mkdir(parents=True)
    original = (ROOT / mutation.file).read_text("utf-8")
    copy.write_text(original, "utf-8")
    assert break_it(mutation, tmp_path) == original != copy.read_text("utf-8")
    file, _, name = mutation.test.partition("::")
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name.partition("[")[0] in functions


def test_every_promise_is_broken():
    assert len(NAMES) == len(set(NAMES)) >= 20
    assert {mutation.promise[0] for mutation in MUTATIONS} == set("1234567")
    rules = {rule for m in MUTATIONS for rule in re.findall(r"R\d+", m.promise)}
    # Who audits is audited by tests/audit/test_bugs.py.
    assert rules == {f"R{number}" for number in range(1, 15)}


def test_source_that_has_changed_is_told(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    with pytest.raises(
        ValueError, match=r"no more: a\.py has changed; 'x = 2' stands there 0 times"
    ):
        break_it(Mutation("1", "no more", "a.py", (("x = 2", "x = 3"),), "t"), tmp_path)


def case(name: str, **children: str) -> Element:
    """A case of a report of pytest."""
    found = Element("testcase", {"classname": "tests.unit.test_x", "name": name})
    for tag, message in children.items():
        SubElement(found, tag, {"message": message})
    return found


def test_a_test_that_could_not_begin_has_not_failed():
    cases = [case("test_a[1]", failure="no"), case("test_a[2]"), case("test_b", error="broken")]
    assert outcome_of("tests/unit/test_x.py::test_a", cases)[:2] == (1, 1)
    assert outcome_of("tests/unit/test_x.py::test_a[2]", cases)[:2] == (1, 0)
    assert outcome_of("tests/unit/test_x.py::test_b", cases) == (0, 0, "broken")
