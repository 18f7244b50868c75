"""Efforts of a file of facts beside the answers in it."""

from __future__ import annotations

import json

import pytest

from pipeline.cli.effort import calibrate

# The events of four customers: who called how often, and the answer after the last call. Efforts 0,
# 0, 1, 3 have the ranks 1.5, 1.5, 3, 4, answers 7, 5, 5, 2 the ranks 4, 2.5, 2.5, 1; both have the
# mean 2.5. Products of the distances: -1 * 1.5 - 1 * 0 + 0.5 * 0 - 1.5 * 1.5 = -3.75; squares of
# each: 1 + 1 + 0.25 + 2.25 = 4.5; -3.75 / 4.5 = -0.833. Efforts less their mean 1 are -1, -1, 0, 2,
# answers less 4.75 are 2.25, 0.25, 0.25, -2.75: products -2.25 - 0.25 - 5.5 = -8, squares 6 and
# 12.75: -8 / sqrt(6 * 12.75) = -8 / 8.746 = -0.915.
CALLS = {"a": (1, 7), "b": (1, 5), "c": (2, 5), "d": (4, 2)}


def facts():
    for name, (count, score) in CALLS.items():
        journey = {"kind": "journey", "interaction_id": f"{name}0", "interactions": count}
        yield journey | {"wait_ms": 0, "transfers": 0}
        for number in range(count):
            contact = {
                "kind": "contact",
                "interaction_id": f"{name}{number}",
                "part": "interaction",
            }
            yield contact | {"journey_id": f"{name}0"}
        answer = {"kind": "survey", "interaction_id": f"{name}{count - 1}", "question": "ces"}
        yield answer | {"credit": "last", "scale": 7, "score": score}
        yield answer | {"credit": "last", "scale": 7, "score": None}
        yield answer | {"credit": "bot", "scale": 7, "score": 1}
        yield answer | {"credit": "last", "scale": 5, "score": 5 if name == "d" else 1}
    yield {"summary": {}}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "facts.jsonl"
    path.write_text("".join(json.dumps(fact) + "\n" for fact in facts()))
    return path


def test_correlations_computed_by_hand(file, capsys):
    calibrate(facts=file)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "n 4 answers of 4 journeys"
    assert lines[2].split() == ["contacts", "1", "-0.833", "-0.915"]
    assert lines[4].split() == ["transfers", "2", "-", "-"]
    assert lines[-1].split() == ["effort", "-0.833", "-0.915"]


def test_another_scale_has_its_own_answers(file, capsys):
    calibrate(facts=file, scale=5)
    # Answers 1, 1, 1, 5 less 2 are -1, -1, -1, 3: products 1 + 1 + 0 + 6 = 8, squares 6 and 12:
    # 8 / sqrt(72). Ranks of answers 2, 2, 2, 4: products 0.5 + 0.5 - 0.25 + 2.25 = 3, squares 4.5
    # and 3: 3 / sqrt(13.5).
    assert capsys.readouterr().out.splitlines()[-1].split() == ["effort", "0.816", "0.943"]


def test_nobody_was_asked(file, capsys):
    with pytest.raises(SystemExit) as ended:
        calibrate(facts=file, scale=10)
    assert ended.value.code == 3
    assert "no effort question on a scale of 10 was answered" in capsys.readouterr().err


def test_a_file_of_something_else(tmp_path, capsys):
    (tmp_path / "facts.jsonl").write_text("no fact\n")
    with pytest.raises(SystemExit) as ended:
        calibrate(facts=tmp_path / "facts.jsonl")
    assert ended.value.code == 2
    assert "line 1: expected a fact as one JSON object" in capsys.readouterr().err
