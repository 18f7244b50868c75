from __future__ import annotations

from pipeline.kpi import catalogue
from schemas.exhibit_file import load_exhibit
from sinks.wallboard.definition import describe


def described(entry, name):
    exhibit = load_exhibit(f"exhibit: desk\nwhere: {{queue: [sales-*]}}\nkpis: [{entry}]\n")
    return describe(exhibit, name, catalogue.load())


def test_the_panel_has_the_catalogue_and_the_exhibit_s_choices():
    told = described(
        '{kpi: service_level, as: sl, target: ">= 0.80", min_n: 30, target_source: client,'
        ' item_ref: "schedule B, 2.1",'
        " parameters: {mode: E, threshold_seconds: 15, short_abandon_seconds: 3}}",
        "sl",
    )
    assert (told.title, told.kpi, told.name, told.unit) == (
        "Service level", "service_level", "sl", "ratio",
    )  # fmt: skip
    assert (told.better, told.target, told.min_n) == ("higher is better", ">= 0.80", 30)
    parameters = {p.name: p.value for p in told.parameters}
    chosen = {"mode": "E", "threshold_seconds": 15, "short_abandon_seconds": 3}
    assert chosen.items() <= parameters.items()
    assert parameters["boundary"] == "<="  # the default
    assert told.about == [("target source", "client"), ("item ref", "schedule B, 2.1")]
    assert told.population == {"queue": ("sales-*",), "direction": ("inbound",)}
    assert told.formulas[0].counts == "One stay in one queue."
    assert [place for place, _ in told.formulas[0].lines][-2:] == ["numerator", "denominator"]
    assert told.sources


def test_rows_that_are_not_there_have_no_definition():
    assert described("{kpi: asa}", "aht") is None


def test_every_kpi_can_be_described():
    loaded = catalogue.load()
    ids = list(loaded.definitions)
    exhibit = load_exhibit(
        "exhibit: all\nkpis: [" + ", ".join(f"{{kpi: {name}}}" for name in ids) + "]\n"
    )
    for name in ids:
        told = describe(exhibit, name, loaded)
        assert told is not None
        assert told.formulas[0].counts.endswith(".")
