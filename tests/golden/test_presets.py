"""One set of events under every preset: what each platform would report of it.

Nine calls are computed by hand. A simulated week stands on the page of presets, as the command
prints it.
"""

from __future__ import annotations

import json
import subprocess
from itertools import combinations
from pathlib import Path

import pytest

from schemas.presets import load_preset, preset_names
from tests.docs.page import ROOT, blocks, running
from tests.golden.harness import CXSTREAM, cxstream, json_lines
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


def test_a_week_is_as_the_page_says_and_differs_pair_by_pair(tmp_path):
    found = blocks(ROOT / "docs" / "presets.md")
    with running(tmp_path) as runner:
        assert runner.run(found) == 1
    assert (tmp_path / "week.jsonl").read_bytes().count(b"\n") > 30_000
    printed = table_rows(next(block.text for block in found if block.verb == "output"))
    rows = {row["preset"].strip("`"): row for row in printed}
    assert set(rows) == set(PLATFORMS)
    counts = {name: (int(row["numerator"]), int(row["denominator"])) for name, row in rows.items()}
    for one, other in combinations(PLATFORMS, 2):
        assert rows[one]["`service_level`"] != rows[other]["`service_level`"], (one, other)
        assert rows[one]["because"] != rows[other]["because"]
    for name, (within, of) in counts.items():
        assert rows[name]["`service_level`"] == f"{within / of:.4f}"
    # Microsoft leaves every abandon out, Talkdesk the short ones; Connect adds callbacks.
    connect, genesys, microsoft, talkdesk = (counts[name][1] for name in PLATFORMS)
    assert microsoft < talkdesk < genesys < connect
    assert counts["amazon_connect"][0] > counts["genesys_cloud"][0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--preset", "genesys"], "there is no preset genesys; did you mean genesys_cloud?"),
        (["--kpi", "asa"], "no preset says anything of asa"),
        (
            ["--kpi", "fcr_repeat", "--preset", "talkdesk_live"],
            "talkdesk_live says nothing of fcr_repeat; ask for copc_default or genesys_cloud",
        ),
        (["--platform", "nobody"], "nobody"),
    ],
)
def test_what_no_preset_can_say_is_refused(tmp_path, arguments, told):
    log = tmp_path / "events.jsonl"
    log.write_text("")
    asked = [CXSTREAM, "exhibit", "presets", log, *arguments]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_files_without_events_say_nothing(tmp_path):
    log = tmp_path / "events.jsonl"
    log.write_text("")
    asked = [CXSTREAM, "exhibit", "presets", log]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "cxstream: no event was read\n")
