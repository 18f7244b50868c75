from __future__ import annotations

import json

import pytest
from hand_made import HOUR

from pipeline.kpi import catalogue
from pipeline.kpi.catalogue import DefinitionError
from schemas.exhibit import ExhibitError
from schemas.exhibit_file import load_exhibit

CATALOGUE = catalogue.load()

# "KPI ids and parameters" of the contract, word for word.
COUNTS = (
    "offered answered abandoned flow_outs interactions handled bot_sessions short_abandons"
    " missed_offers"
)
GAUGES = {
    "queue_depth", "performers_by_state", "longest_wait", "backlog", "average_time_late",
}  # fmt: skip
UNITS = {
    "count": {*COUNTS.split(), "queue_depth", "performers_by_state", "backlog"},
    "seconds": {
        "asa", "max_wait", "mean_time_to_abandon", "longest_wait", "handoff_wait",
        "bot_handle_time", "aht", "talk_time", "hold_time", "wrap_time", "wait_percentile",
        "average_time_late", "handle_time_percentile", "first_reply_time", "journey_duration",
    },
    "ratio": {
        "abandon_rate", "service_level", "service_level_live", "transfer_rate", "csat_top_box",
        "dsat", "survey_response_rate", "fcr_repeat", "repeat_rate", "containment_naive",
        "containment_true", "handoff_rate", "bot_abandon_rate", "abandon_after_bot",
        "answer_rate", "callback_success", "on_time", "end_to_end_resolution",
        "false_containment", "repeat_after_bot", "confirmed_resolution", "assumed_resolution",
        "fallback_rate", "no_input_rate", "low_confidence_rate", "deflection_estimate",
        "low_effort_handoff", "journey_completion", "fallout",
    },
    "score": {
        "csat_mean", "ces_mean", "journey_effort", "journey_ease", "contacts_per_resolved_issue",
        "mean_confidence",
    },
    "points": {"nps"},
}  # fmt: skip
DEFAULTS = {
    "short_abandons": {"short_abandon_seconds": 5},
    "performers_by_state": {"state": "available"},
    "aht": {"per": "segment", "consult": "count"},
    "talk_time": {"over": "all"},
    "hold_time": {"over": "all"},
    "wrap_time": {"over": "all"},
    "abandon_rate": {"exclude_short": False, "short_abandon_seconds": 5},
    "service_level": {
        "mode": "A",
        "threshold_seconds": 20,
        "boundary": "<=",
        "flowouts": "exclude",
        "callback": "exclude",
    },
    "service_level_live": {"threshold_seconds": 20},
    "transfer_rate": {"per": "interaction", "kind": "any"},
    "csat_top_box": {"scale": 5, "top": 2, "date": "interaction", "credit": "last"},
    "dsat": {"scale": 5, "bottom": 2, "date": "interaction", "credit": "last"},
    "csat_mean": {"scale": 5, "date": "interaction", "credit": "last"},
    "ces_mean": {"scale": 7, "date": "interaction", "credit": "last"},
    "nps": {"date": "interaction", "credit": "last"},
    "fcr_repeat": {
        "window_hours": 168,
        "key": "customer",
        "scope": "same_intent",
        "mature_only": True,
        "counting": "pairwise",
        "transfer_fails": False,
        "bot_handoff_fails": False,
        "abandons_count_as_repeat": True,
        "proactive_excluded": False,
        "outbound_counts": False,
    },
    "repeat_rate": {"window_hours": 168, "key": "customer", "scope": "same_intent"},
    **{
        kpi_id: {"window_hours": 24, "scope": "any"}
        for kpi_id in (
            "containment_true",
            "false_containment",
            "repeat_after_bot",
            "assumed_resolution",
        )
    },
    "deflection_estimate": {"window_hours": 24, "scope": "any", "share": 1},
    "wait_percentile": {"percentile": 90, "over": "answered"},
    "handle_time_percentile": {"percentile": 90},
    "missed_offers": {"withdrawn": "exclude"},
    "answer_rate": {"withdrawn": "exclude"},
    "callback_success": {"window_hours": 24},
    "fallback_rate": {"per": "turn"},
    "no_input_rate": {"per": "turn"},
    "low_confidence_rate": {"threshold": 0.5},
    "low_effort_handoff": {"threshold_seconds": 20},
    "contacts_per_resolved_issue": {"window_days": 30},
    "end_to_end_resolution": {"window_days": 30},
    "journey_duration": {"quiet_days": 7},
    "journey_completion": {"window_days": 30, "end": "quiet", "quiet_days": 7},
    "fallout": {"step": "queue", "window_days": 30},
    "journey_effort": {
        "weights": {
            "interactions": 1,
            "channel_switches": 2,
            "transfers": 2,
            "reauthentications": 2,
            "handoffs_without_context": 1,
            "info_repeats": 1,
            "wait_minutes": 0.2,
        },
    },
}


CONTRACT = sorted(kpi_id for ids in UNITS.values() for kpi_id in ids)
"""KPIs whose ids, units and defaults do not change; the catalogue has more."""


def test_ids_and_units_are_those_of_the_contract():
    for unit, ids in UNITS.items():
        assert {kpi_id: CATALOGUE.definition(kpi_id).unit for kpi_id in ids} == dict.fromkeys(
            ids, unit
        )
    assert {i for i in GAUGES if not CATALOGUE.definition(i).gauge} == set()


@pytest.mark.parametrize("kpi_id", CONTRACT)
def test_parameters_and_defaults_are_those_of_the_contract(kpi_id):
    kpi = CATALOGUE.compile(kpi_id)
    assert kpi.parameters == DEFAULTS.get(kpi_id, {})
    assert json.loads(json.dumps(kpi.parameters)) == kpi.parameters


def test_only_cohorts_mature_and_only_what_time_changes_is_due():
    parts = {i: CATALOGUE.compile(i).parts for i in CATALOGUE.definitions}
    cohorts = {i for i in CATALOGUE.definitions if CATALOGUE.compile(i).cohort}
    assert {i for i, of in parts.items() if any(p.matures for p in of)} == cohorts
    assert {"fcr_repeat", "containment_true", "callback_success", "fallout"} <= cohorts
    due = {i for i, of in parts.items() if any(p.due for p in of)}
    assert cohorts | GAUGES | {"service_level_live", "on_time", "journey_duration"} <= due
    assert not due & {"offered", "aht", "interactions", "csat_mean", "handoff_rate"}


@pytest.mark.parametrize("kpi_id", CATALOGUE.definitions)
def test_every_attribution_of_every_variant_compiles(kpi_id):
    definition = CATALOGUE.definition(kpi_id)
    for attribution in definition.attributions:
        assert CATALOGUE.compile(kpi_id, attribution=attribution).attribution == attribution


def test_a_variant_of_another_fact_has_its_own_instants():
    close = CATALOGUE.compile("aht", {"per": "interaction"}, "close").part
    assert (close.fact, close.sql["time"]) == ("interaction", "ended_ms")
    arrival = CATALOGUE.compile("transfer_rate", {"per": "segment"}, "arrival").part
    assert (arrival.fact, arrival.sql["time"]) == ("handling_segment", "accepted_ms")
    with pytest.raises(DefinitionError, match="asa cannot be attributed by close"):
        CATALOGUE.compile("asa", attribution="close")


def test_variants_change_fact_time_and_attribution():
    per = {p: CATALOGUE.compile("aht", {"per": p}).part.fact for p in ("segment", "interaction")}
    assert per == {"segment": "handling_segment", "interaction": "interaction"}
    segment = CATALOGUE.compile("transfer_rate", {"per": "segment"})
    assert (segment.part.fact, segment.attribution) == ("handling_segment", "event")
    assert segment.part.sql["time"] == "closed_ms"
    response = CATALOGUE.compile("csat_mean", {"date": "response"})
    assert (response.attribution, response.part.sql["time"]) == ("event", "answered_ms")


def test_equal_definitions_are_one_object_with_one_key():
    explicit = CATALOGUE.compile("service_level", {"mode": "A"})
    assert explicit is CATALOGUE.compile("service_level")
    assert explicit.key != CATALOGUE.compile("service_level", {"mode": "B"}).key
    assert explicit.key == (
        'service_level@1/arrival{"boundary": "<=", "callback": "exclude", "flowouts": "exclude",'
        ' "mode": "A", "threshold_seconds": 20}'
    )


def test_sql_has_literals_in_place_of_parameters():
    kpi = CATALOGUE.compile("service_level", {"mode": "E", "short_abandon_seconds": 4})
    assert kpi.parameters["short_abandon_seconds"] == 4
    assert kpi.part.sql["numerator"] == (
        "CASE WHEN outcome = 'answered' AND wait_ms <= 20000 THEN 1 ELSE 0 END"
    )
    fcr = CATALOGUE.compile("fcr_repeat", {"window_hours": 2, "scope": "any"})
    assert fcr.part.sql["matures"] == f"ended_ms + {2 * HOUR}"
    assert "next_any_ms" in fcr.part.sql["numerator"]


@pytest.mark.parametrize(
    ("kpi_id", "parameters", "says"),
    [
        ("servicelevel", {}, "unknown KPI servicelevel; did you mean service_level?"),
        ("aht", {"pers": "segment"}, "aht has no parameter pers; did you mean per?"),
        ("asa", {"mode": "A"}, "asa has no parameter mode; none is known"),
        ("aht", {"per": "case"}, "per must be one of segment, interaction, not 'case'"),
        ("service_level", {"threshold_seconds": 2.5},
         "threshold_seconds must be a whole number from 0 to 604800, not 2.5"),
        ("service_level", {"threshold_seconds": True}, "must be a whole number"),
        ("service_level", {"threshold_seconds": -1}, "from 0 to 604800, not -1"),
        ("service_level", {"boundary": "=<"}, "boundary must be one of <=, <, not '=<'"),
        ("service_level", {"short_abandon_seconds": 5},
         "short_abandon_seconds is used only when mode is E or F, not A"),
        ("service_level", {"mode": "B", "short_abandon_seconds": 5}, "not B"),
        ("fcr_repeat", {"transfer_fails": 1}, "transfer_fails must be true or false, not 1"),
        ("fcr_repeat", {"key": "account"}, "key must be one of customer, case, not 'account'"),
        ("fcr_repeat", {"mature_only": 0}, "mature_only must be true or false, not 0"),
        ("fcr_repeat", {"key": "case", "scope": "any"},
         "scope is used only when key is customer, not case"),
        ("repeat_rate", {"mature_only": False}, "repeat_rate has no parameter mature_only"),
        ("journey_effort", {"weights": {"transfer": 1}},
         "unknown entry transfer of weights; did you mean transfers?"),
        ("journey_effort", {"weights": {"transfers": float("inf")}}, "from 0 to 1000, not inf"),
        ("journey_effort", {"weights": 3}, "weights must be numbers by name, not 3"),
    ],
)  # fmt: skip
def test_refused_with_the_nearest_name_or_the_allowed_values(kpi_id, parameters, says):
    with pytest.raises(DefinitionError) as caught:
        CATALOGUE.compile(kpi_id, parameters)
    assert says in str(caught.value)


def test_weights_given_in_part_keep_the_other_defaults():
    kpi = CATALOGUE.compile("journey_effort", {"weights": {"transfers": 3}})
    assert kpi.parameters["weights"] == {
        **DEFAULTS["journey_effort"]["weights"], "transfers": 3,
    }  # fmt: skip


ROW = """\
- id: x
  version: 1
  title: X
  unit: count
  direction: none
  fact: queue_segment
  attribution: arrival
  time: entered_ms
  source: []
  traps: none
"""


def compiled(rows):
    return catalogue.Catalogue(catalogue.parse(rows)).compile("x")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("time: entered_ms", "time: entred_ms"), "x.time: no column entred_ms in queue_segment"),
        (("time: entered_ms", "time: now()"), "function now is not in the language"),
        (("time: entered_ms", "time: entered_ms + :p"), "x.time: no parameter p"),
        (("fact: queue_segment", "fact: queue"), "unknown fact queue; did you mean queue_segment?"),
        (("attribution: arrival", "attribution: gauge"), "a gauge has the attribution gauge"),
        (("attribution: arrival", "attribution: cohort-final"), "a cohort says when it matures"),
        (("traps: none", "trap: none"), "Extra inputs are not permitted"),
        (
            ("traps: none", "variants: [{when: {per: x}}]\n  traps: none"),
            "x: a condition on per, which is no parameter",
        ),
        (("traps: none", "let: {queue: '1'}\n  traps: none"), "queue is a column"),
        (
            ("traps: none", "traps: none\n  parameters: {p: {type: int, default: x, help: h}}"),
            "default must be a whole number",
        ),
    ],
)
def test_a_bad_row_is_refused_at_load(change, says):
    assert compiled(ROW).part.sql["time"] == "entered_ms"
    with pytest.raises(ValueError, match=r"(?s).") as caught:
        compiled(ROW.replace(*change))
    assert says in str(caught.value)


def test_an_expression_of_the_wrong_type_for_its_role_is_refused():
    row = ROW.replace("traps", "of: queue\n  traps")
    with pytest.raises(DefinitionError, match=r"x\.of is str, not bool"):
        compiled(row)


def test_an_exhibit_is_checked_against_the_catalogue_with_places():
    exhibit = load_exhibit(
        "exhibit: e\n"
        "kpis:\n"
        "  - {kpi: asaa}\n"
        "  - {kpi: aht, parameters: {per: case}}\n"
        "  - kpi: service_level\n"
        "    parameters:\n"
        "      short_abandon_seconds: 5\n",
        "e.yaml",
    )
    with pytest.raises(ExhibitError) as caught:
        catalogue.check_exhibit(exhibit, CATALOGUE)
    assert str(caught.value).splitlines() == [
        "e.yaml:3:6: unknown KPI asaa; did you mean asa?",
        "e.yaml:4:29: per must be one of segment, interaction, not 'case'",
        "e.yaml:7:7: short_abandon_seconds is used only when mode is E or F, not A; "
        "leave it out or change mode",
    ]


@pytest.mark.parametrize("definition", CATALOGUE.definitions.values(), ids=lambda d: d.id)
def test_every_kpi_says_what_it_is_in_one_sentence(definition):
    told = " ".join(definition.means.split())
    assert told.endswith(".")
    assert 20 < len(told) < 120
    assert ". " not in told


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("AHT", "did you mean aht?"),
        ("service_levl", "did you mean service_level?"),
        ("SLA", "did you mean service_level?"),
        ("ACW", "did you mean wrap_time?"),
        ("fcr", "did you mean fcr_repeat, fcr_case, fcr_agent or fcr_survey?"),
        ("csat", "did you mean csat_top_box or csat_mean?"),
        ("zzz", f"`cxstream exhibit kpis` lists all {len(CATALOGUE.definitions)}"),
    ],
)
def test_a_kpi_that_is_not_known_is_guessed(wanted, hint):
    with pytest.raises(DefinitionError) as caught:
        CATALOGUE.definition(wanted)
    assert str(caught.value) == f"unknown KPI {wanted}; {hint}"
