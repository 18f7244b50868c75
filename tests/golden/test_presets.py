"""One set of events under every preset: what each platform would report of it."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest

from schemas.presets import load_preset, preset_names
from tests.golden.harness import cxstream, json_lines
from tests.golden.table import Json, read, sections, table_rows

PAGE = Path(__file__).parent / "presets" / "four-platforms.md"
PLATFORMS = ("amazon_connect", "genesys_cloud", "microsoft_d365", "talkdesk_live")
WANTED = table_rows(dict(sections(PAGE.read_text("utf-8")))["Under presets"])


@pytest.fixture(scope="module")
def values(tmp_path_factory) -> dict[tuple[str, str], Json]:
    """Final rows by preset and KPI."""
    folder = tmp_path_factory.mktemp("presets")
    example = read(PAGE)
    log = folder / "events.jsonl"
    events = [event for step in example.steps if isinstance(step, list) for event in step]
    log.write_text("".join(json.dumps(event) + "\n" for event in events))
    options = []
    for preset in preset_names():
        kpis = dict.fromkeys(row["KPI"].strip("`") for row in WANTED)
        file = folder / f"{preset}.yaml"
        told = {"exhibit": preset, "preset": preset, "windows": ["all"]}
        file.write_text(json.dumps({**told, "kpis": [{"kpi": kpi} for kpi in kpis]}))
        options.append(f"--exhibit={file}")
    rows, _ = json_lines(cxstream("replay", *options, "--json", log))
    final = [r for r in rows if r["state"] == "final" or r["attribution"] != "cohort-final"]
    return {(row["exhibit"], row["kpi"]): row for row in final}


@pytest.mark.parametrize("row", WANTED, ids=lambda row: f"{row['preset']}-{row['KPI']}")
def test_value(values, row):
    preset, kpi = row["preset"].strip("`"), row["KPI"].strip("`")
    found = values[preset, kpi]
    assert (found["numerator"], found["denominator"]) == (
        int(row["numerator"]), int(row["denominator"]),
    )  # fmt: skip
    assert f"{found['value']:.4f}" == row["value"]
    assert found["parameters"].items() >= load_preset(preset).kpis[kpi].parameters.items()


def test_platforms_differ_pair_by_pair(values):
    levels = {name: values[name, "service_level"]["value"] for name in PLATFORMS}
    for one, other in combinations(PLATFORMS, 2):
        assert levels[one] != levels[other], (one, other)
