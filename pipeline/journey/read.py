"""Where the facts of a journey are read from: ClickHouse, or what a replay printed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from pipeline.journey.story import Fact, Facts

Ask = Callable[[str, Mapping[str, Any]], Awaitable[list[Fact]]]
"""Rows of a query with its parameters, by column."""


async def from_clickhouse(key: str, ask: Ask) -> Facts:
    """Facts of the journeys that ``key`` names: one of their interactions, or their customer."""
    names = [
        row["journey_id"]
        for row in await ask(
            "SELECT DISTINCT journey_id FROM contacts WHERE interaction_id = {key:String} "
            "OR customer_key = {key:String} AND customer_key != ''",
            {"key": key},
        )
    ]
    given = {"journeys": names}
    contacts = await ask(
        "SELECT * FROM contacts WHERE has({journeys:Array(String)}, journey_id) "
        "AND part = 'interaction'",
        given,
    )
    of = {"interactions": [fact["interaction_id"] for fact in contacts]}

    async def all_of(view: str) -> list[Fact]:
        sql = f"SELECT * FROM {view} WHERE has({{interactions:Array(String)}}, interaction_id)"  # noqa: S608 - a name of ours
        return await ask(sql, of)

    return Facts(
        journeys=await ask(
            "SELECT * FROM journeys WHERE has({journeys:Array(String)}, interaction_id)", given
        ),
        contacts=contacts,
        interactions=await all_of("interactions"),
        queue_segments=await all_of("queue_segments"),
        handling_segments=await all_of("handling_segments"),
        surveys=await all_of("surveys"),
    )


def by_kind(lines: Iterable[str]) -> dict[str, list[Fact]]:
    """Facts that ``cxstream replay --emit facts --json`` printed, by their kind.

    Raises:
        ValueError: a line is not one of these.
    """
    kinds: dict[str, list[Fact]] = {}
    for number, line in enumerate(lines, 1):
        try:
            fact = json.loads(line)
            if "summary" not in fact:
                kinds.setdefault(fact["kind"], []).append(fact)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"line {number}: expected a fact as one JSON object") from error
    return kinds


def from_replay(key: str, lines: Iterable[str]) -> Facts:
    """The same of what a replay printed. Raises as :func:`by_kind`."""
    kinds = by_kind(lines)
    whole = [fact for fact in kinds.get("contact", []) if fact["part"] == "interaction"]
    names = {f["journey_id"] for f in whole if key in (f["interaction_id"], f["customer_key"])}
    contacts = [fact for fact in whole if fact["journey_id"] in names]
    of = {fact["interaction_id"] for fact in contacts}

    def all_of(kind: str) -> list[Fact]:
        return [fact for fact in kinds.get(kind, []) if fact["interaction_id"] in of]

    return Facts(
        journeys=[f for f in kinds.get("journey", []) if f["interaction_id"] in names],
        contacts=contacts,
        interactions=all_of("interaction"),
        queue_segments=all_of("queue_segment"),
        handling_segments=all_of("handling_segment"),
        surveys=all_of("survey"),
    )
