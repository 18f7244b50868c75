"""What all pages have in common: fresh generated text, links that lead somewhere, real commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.docs import reference
from pipeline.docs.__main__ import main
from pipeline.docs.kpis import sources
from pipeline.docs.pages import REGIONS, filled, stale, wanted
from pipeline.kpi import catalogue
from schemas.presets import load_preset, preset_names
from tests.docs.page import ROOT, blocks, running

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "schemas/README.md",
        ROOT / "pipeline/microbatch/README.md",
    ]
)
EVERY = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def test_generated_text_is_fresh():
    assert stale(ROOT) == [], "run: make docs"
    assert {
        "README.md", "docs/exhibits.md", "docs/kpis/README.md", "docs/kpis/asa.md",
        "docs/operations.md", "docs/presets.md",
    } <= wanted(ROOT).keys()  # fmt: skip


def test_a_stale_region_is_found_and_written_anew(tmp_path, monkeypatch, capsys):
    (tmp_path / "docs" / "kpis").mkdir(parents=True)
    (tmp_path / "docs" / "kpis" / "of_yore.md").write_text("# Of yore\n", "utf-8")
    (tmp_path / "README.md").write_text(
        "before\n<!-- generated: settings -->\nold\n<!-- end: settings -->\nafter\n", "utf-8"
    )
    monkeypatch.setattr("pipeline.docs.__main__.ROOT", tmp_path)
    assert main(["--check"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert {line.partition(" ")[2] for line in told} == {"is stale; run: make docs"}
    assert {"README.md", "docs/kpis/asa.md", "docs/kpis/of_yore.md"} <= {
        line.partition(" ")[0] for line in told
    }
    assert "docker/prometheus/rules/pipeline.yml is stale; run: make docs" in told
    assert main([]) == 0
    assert main(["--check"]) == 0
    assert not (tmp_path / "docs" / "kpis" / "of_yore.md").exists()
    text = (tmp_path / "README.md").read_text("utf-8")
    assert text.startswith("before\n<!-- generated: settings -->\n| variable | takes |")
    assert text.endswith("<!-- end: settings -->\nafter\n")
    assert "| `CXSTREAM_PARTITIONS` | integer, 1 to 512 | `4` |" in text


def test_a_region_that_nothing_generates_is_an_error():
    with pytest.raises(KeyError, match="weather"):
        filled("<!-- generated: weather -->\n<!-- end: weather -->")
    assert filled("no region") == "no region"


def test_every_kind_of_region_is_used():
    text = "".join(page.read_text("utf-8") for page in PAGES)
    assert set(re.findall(r"<!-- generated: ([a-z-]+) -->", text)) == set(REGIONS)


@EVERY
def test_links_lead_somewhere(page: Path):
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


@EVERY
def test_files_that_are_named_exist(page: Path):
    named = re.findall(
        r"`((?:agents|docs|pipeline|schemas|sinks|tests)/[\w./-]+)`", page.read_text("utf-8")
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


@EVERY
def test_commands_that_are_named_exist(page: Path):
    leaves = re.findall(r"^\| `cxstream ([a-z -]+[a-z])", reference.commands(), re.MULTILINE)
    commands = {*leaves, *(leaf.partition(" ")[0] for leaf in leaves)}
    assert {"demo", "topics apply", "dead-letters show"} <= commands
    seconds = "|".join(sorted({leaf.partition(" ")[2] for leaf in leaves} - {""}))
    named = re.findall(
        rf"\bcxstream (?:-v )?([a-z-]+(?: (?:{seconds})\b)?)", "\n".join(_code(page))
    )
    assert [name for name in named if name not in commands] == []


def _code(page: Path) -> list[str]:
    text = page.read_text("utf-8")
    return [*re.findall(r"```sh\n(.*?)```", text, re.DOTALL), *re.findall(r"`([^`\n]+)`", text)]


def test_every_source_of_a_kpi_or_preset_is_explained_and_no_other():
    cited = {name for d in catalogue.load().definitions.values() for name in d.source}
    cited |= {name for preset in preset_names() for name in load_preset(preset).source}
    assert sources().keys() == cited


def test_decisions_are_numbered_without_gaps_and_say_what_was_rejected():
    files = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    for number, file in enumerate(files, 1):
        text = file.read_text("utf-8")
        assert file.name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number}. ")
        for part in ("**Decided.**", "**Rejected.**", "**Costs.**"):
            assert part in text, file.name
        assert len(text.splitlines()) <= 60


def test_the_replay_of_the_readme_prints_what_it_says(tmp_path):
    with running(tmp_path) as runner:
        assert runner.run(blocks(ROOT / "README.md")) == 1
