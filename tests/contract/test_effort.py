"""How efforts go together with answers, as ClickHouse computes it."""

from __future__ import annotations

import pytest

from pipeline.journey.effort import Agreement, calibration, calibration_query, default_weights

pytestmark = pytest.mark.clickhouse

# Contacts beyond the first and the answer of four customers. Efforts 0, 0, 1, 3 have the ranks 1.5,
# 1.5, 3, 4, answers 7, 5, 5, 2 the ranks 4, 2.5, 2.5, 1; both have the mean 2.5.
ANSWERS = {"a": (0, 7), "b": (0, 5), "c": (1, 5), "d": (3, 2)}


async def test_ranks_and_lines(migrated):
    contacts, journeys, surveys = [], [], []
    for name, (more, score) in ANSWERS.items():
        contacts.append([f"{name}/contact", 1, name, "interaction", name])
        journeys.append([f"{name}/journey", 1, name, more + 1])
        surveys.append([f"{name}/survey", 1, name, "last", "ces", 7, score])
    surveys.append(["a/other", 1, "a", "last", "ces", 5, 1])
    await migrated.insert(
        "facts_contact", contacts,
        column_names=["fact_id", "version", "interaction_id", "part", "journey_id"],
    )  # fmt: skip
    await migrated.insert(
        "facts_journey", journeys,
        column_names=["fact_id", "version", "interaction_id", "interactions"],
    )  # fmt: skip
    await migrated.insert(
        "facts_survey", surveys,
        column_names=[
            "fact_id", "version", "interaction_id", "credit", "question", "scale", "score",
        ],
    )  # fmt: skip
    sql, given = calibration_query(default_weights(), 7)
    answer = await migrated.query(sql, parameters=given)
    found = calibration(dict(zip(answer.column_names, answer.result_rows[0], strict=True)))
    assert (found.answers, found.journeys) == (4, 4)
    # Ranks: -1 * 1.5 - 0 - 0 - 1.5 * 1.5 = -3.75 of sqrt(4.5 * 4.5).
    # Lines: efforts less 1 are -1, -1, 0, 2, answers less 4.75 are 2.25, 0.25, 0.25, -2.75;
    # products -2.25 - 0.25 - 5.5 = -8, squares 6 and 12.75: -8 / sqrt(76.5).
    expected = (pytest.approx(-3.75 / 4.5), pytest.approx(-0.914659, abs=1e-6))
    assert found.whole == found.parts["interactions"] == expected
    assert found.parts["transfers"] == Agreement(None, None)
