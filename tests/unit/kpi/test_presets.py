from __future__ import annotations

import pytest

from pipeline.kpi import catalogue
from pipeline.kpi.presets import asked
from schemas.exhibit import ExhibitError, KpiEntry
from schemas.exhibit_file import load_exhibit
from schemas.presets import Preset, PresetKpi, load_preset, preset_names

CHOOSY = """
- id: offered
  version: 1
  title: Offered
  unit: count
  direction: none
  fact: queue_segment
  attribution: arrival
  time: entered_ms
  times: {close: left_ms}
  source: []
  traps: none
"""


def test_names():
    assert preset_names() == (
        "amazon_connect", "cisco_icm", "copc_default", "genesys_cloud", "microsoft_d365",
        "talkdesk_live", "twilio_flex",
    )  # fmt: skip


@pytest.mark.parametrize("name", preset_names())
def test_every_default_of_a_preset_is_one_that_its_kpi_can_have(name):
    preset = load_preset(name)
    assert preset.preset == name
    assert preset.notes
    for kpi, told in preset.kpis.items():
        compiled = catalogue.load().compile(kpi, told.parameters, told.attribution)
        assert compiled.parameters.items() >= told.parameters.items()


def test_a_preset_that_is_not_there():
    with pytest.raises(KeyError):
        load_preset("avaya")
    with pytest.raises(ExhibitError, match="e:2:1: unknown preset genesys; did you"):
        load_exhibit("exhibit: e\npreset: genesys\nkpis: [{kpi: asa}]\n", "e")


def compiled(entry: str, preset: str = "talkdesk_live"):
    exhibit = load_exhibit(f"exhibit: e\npreset: {preset}\nkpis:\n  - {{{entry}}}\n")
    return catalogue.check_exhibit(exhibit, catalogue.load())[0]


def test_a_preset_gives_defaults():
    assert compiled("kpi: service_level").parameters.items() >= {
        "mode": "E", "threshold_seconds": 20, "short_abandon_seconds": 5, "boundary": "<=",
    }.items()  # fmt: skip
    assert compiled("kpi: asa").key == catalogue.load().compile("asa").key


def test_an_entry_wins_and_what_it_makes_idle_is_left_out():
    found = compiled("kpi: service_level, parameters: {mode: A}").parameters
    assert found["mode"] == "A"
    assert "short_abandon_seconds" not in found
    found = compiled("kpi: service_level, parameters: {threshold_seconds: 60}").parameters
    assert (found["mode"], found["threshold_seconds"]) == ("E", 60)
    assert found["short_abandon_seconds"] == 5


def test_a_parameter_of_the_entry_that_means_nothing_is_refused_still():
    with pytest.raises(ExhibitError, match="short_abandon_seconds is used only when mode is E"):
        compiled("kpi: service_level, parameters: {short_abandon_seconds: 9}", "amazon_connect")


def test_attribution_is_the_entrys_then_the_presets_for_the_kpi_then_its_preference():
    (definition,) = catalogue.parse(CHOOSY)
    entry = KpiEntry.model_validate({"kpi": "offered", "as": "offered"})
    own = entry.model_copy(update={"attribution": "arrival"})
    prefers = Preset(preset="p", title="P", attribution="close", kpis={}, notes=())
    told = PresetKpi(attribution="arrival", because="it says so")
    says = prefers.model_copy(update={"kpis": {"offered": told}})
    cannot = prefers.model_copy(update={"attribution": "clip"})
    assert asked(definition, entry, None).attribution is None
    assert asked(definition, entry, prefers).attribution == "close"
    assert asked(definition, own, prefers).attribution == "arrival"
    assert asked(definition, entry, says).attribution == "arrival"
    assert asked(definition, entry, cannot).attribution is None
