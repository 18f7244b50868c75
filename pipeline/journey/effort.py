"""The parts of journey effort, and how well their sum agrees with what customers say of effort."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from statistics import correlation
from typing import Any, Final, NamedTuple

from pipeline.kpi import catalogue
from schemas.exhibit import Exhibit

KPI: Final = "journey_effort"

PARTS: Final = {
    "interactions": ("contacts", "interactions - 1"),
    "channel_switches": ("channel switches", "channel_switches"),
    "transfers": ("transfers", "transfers"),
    "handoffs_without_context": ("handoffs without context", "handoffs_without_context"),
    "reauthentications": ("repeated authentications", "reauthentications"),
    "info_repeats": ("repeats of information", "info_repeats"),
    "wait_minutes": ("waiting", "wait_ms / 60000"),
}
"""Parts by the name of their weight: what people call them, and SQL over a journey."""

Weights = Mapping[str, float]


def default_weights() -> Weights:
    """Weights of an exhibit that gives none."""
    return _weights(catalogue.load().compile(KPI).parameters)


def weights_of(exhibit: Exhibit) -> Weights | None:
    """Weights of the first effort of ``exhibit``; None where it has none."""
    for entry in exhibit.kpis:
        if entry.kpi == KPI:
            return _weights(catalogue.load().compile(KPI, entry.parameters).parameters)
    return None


def _weights(parameters: Mapping[str, Any]) -> Weights:
    return {name: float(weight) for name, weight in parameters["weights"].items()}


def parts(journey: Mapping[str, Any], weights: Weights) -> dict[str, float]:
    """Effort of each part of a journey, by the name of its weight."""
    counts = {name: journey.get(name, 0) for name in PARTS}
    counts["interactions"] -= 1
    counts["wait_minutes"] = journey["wait_ms"] / 60_000
    return {name: weights[name] * count for name, count in counts.items()}


class Agreement(NamedTuple):
    """How two numbers of journeys go together, from -1 to 1; None where one is constant."""

    rank: float | None
    linear: float | None


class Calibration(NamedTuple):
    """Agreement of efforts with answers: of the whole, and of each part alone."""

    answers: int
    journeys: int
    whole: Agreement
    parts: Mapping[str, Agreement]


def calibration_query(weights: Weights, scale: int) -> tuple[str, dict[str, Any]]:
    """SQL over the views, and its parameters.

    An answer is one to the question ``ces`` on ``scale``, after any contact of the journey, paired
    with the effort of the whole journey as it is known now. Ranks are those of Spearman, corrected
    for ties, of which there are many among answers.
    """
    numbers = {name: sql for name, (_, sql) in PARTS.items()}
    whole = " + ".join(f"{{weight_{name}:Float64}} * ({sql})" for name, sql in numbers.items())
    numbers["whole"] = whole
    given_names = [*numbers, "score"]
    columns = ", ".join(f"toFloat64({sql}) AS {name}" for name, sql in numbers.items())
    ranks = ", ".join(
        # The mean rank of what is equal.
        f"rank() OVER (ORDER BY {name}) + (count() OVER (PARTITION BY {name}) - 1) / 2 AS r_{name}"
        for name in given_names
    )
    pairs = ", ".join(
        f"corr(r_{name}, r_score) AS rank_{name}, corr({name}, score) AS linear_{name}"
        for name in numbers
    )
    sql = (  # all text is of this module
        f"SELECT count() AS answers, uniqExact(journey) AS journeys, {pairs}\n"  # noqa: S608
        f"FROM (SELECT *, {ranks}\n"
        f"FROM (SELECT j.interaction_id AS journey, toFloat64(s.score) AS score, {columns}\n"
        "FROM (SELECT interaction_id, assumeNotNull(score) AS score FROM surveys\n"
        "    WHERE question = 'ces' AND credit = 'last' AND scale = {scale:Int64}\n"
        "    AND score IS NOT NULL) AS s\n"
        "INNER JOIN (SELECT interaction_id, journey_id FROM contacts WHERE part = 'interaction')\n"
        "    AS c ON c.interaction_id = s.interaction_id\n"
        "INNER JOIN journeys AS j ON j.interaction_id = c.journey_id))"
    )
    given = {f"weight_{name}": weight for name, weight in weights.items()}
    return sql, given | {"scale": scale}


def calibration(row: Mapping[str, Any]) -> Calibration:
    """What the one row of the query says."""

    def agreement(name: str) -> Agreement:
        return Agreement(_number(row[f"rank_{name}"]), _number(row[f"linear_{name}"]))

    return Calibration(
        row["answers"], row["journeys"], agreement("whole"),
        {name: agreement(name) for name in PARTS},
    )  # fmt: skip


def calibration_of(
    kinds: Mapping[str, Sequence[Mapping[str, Any]]], weights: Weights, scale: int
) -> Calibration:
    """The same as the query says of a table, of facts by kind."""
    journeys = {fact["interaction_id"]: fact for fact in kinds.get("journey", ())}
    journey_of = {
        fact["interaction_id"]: fact["journey_id"]
        for fact in kinds.get("contact", ())
        if fact["part"] == "interaction"
    }
    pairs = [
        (journeys[journey_of[fact["interaction_id"]]], float(fact["score"]))
        for fact in kinds.get("survey", ())
        if (fact["question"], fact["credit"], fact["scale"]) == ("ces", "last", scale)
        and fact["score"] is not None
        and journey_of.get(fact["interaction_id"]) in journeys
    ]
    scores = [score for _, score in pairs]
    efforts = [parts(journey, weights) for journey, _ in pairs]
    counts = [parts(journey, dict.fromkeys(PARTS, 1.0)) for journey, _ in pairs]

    def agreement(values: Sequence[float]) -> Agreement:
        return Agreement(_correlation(_ranks(values), _ranks(scores)), _correlation(values, scores))

    return Calibration(
        len(pairs), len({journey["interaction_id"] for journey, _ in pairs}),
        agreement([sum(effort.values()) for effort in efforts]),
        {name: agreement([count[name] for count in counts]) for name in PARTS},
    )  # fmt: skip


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1 on; what is equal has the mean of its ranks."""
    ordered = sorted(values)
    return [(bisect_left(ordered, v) + bisect_right(ordered, v) + 1) / 2 for v in values]


def _correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Pearson's; None where one is constant, or there are fewer than two."""
    if min(len({*left}), len({*right})) < 2:
        return None
    return correlation(left, right)


def _number(found: float) -> float | None:
    """A constant has no correlation: ClickHouse says NaN."""
    return None if found != found else found  # noqa: PLR0124 - NaN alone differs from itself
