from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.kpi import catalogue
from schemas.exhibit import All, ExhibitError, Sliding, Target, Today, Tumbling
from schemas.exhibit_file import load_exhibit
from schemas.facts import Header

SALES_VOICE = """\
exhibit: sales-voice
version: 1
time_zone: Asia/Manila
where: {channel: [voice], queue: ["sales-*"]}
by: [queue]
windows: [15m, 1h, today, {tumbling: 30m}, all]
kpis:
  - {kpi: service_level, as: sl_80_20, parameters: {mode: E, threshold_seconds: 20, \
short_abandon_seconds: 5}, target: ">= 0.80", min_n: 30}
  - {kpi: aht}
  - {kpi: fcr_repeat, parameters: {window_hours: 168, scope: same_intent}, target: ">= 0.75"}
"""
PLAIN = "exhibit: e\nkpis:\n  - {kpi: asa}\n"
DEFAULT = Path(__file__).parents[2] / "schemas" / "exhibits" / "default.yaml"


def problems(text):
    with pytest.raises(ExhibitError) as caught:
        load_exhibit(text, "e.yaml")
    return str(caught.value).splitlines()


def test_the_exhibit_of_the_contract():
    exhibit = load_exhibit(SALES_VOICE)
    assert (exhibit.exhibit, exhibit.version, exhibit.time_zone) == (
        "sales-voice", 1, "Asia/Manila",
    )  # fmt: skip
    assert exhibit.where == {"channel": ("voice",), "queue": ("sales-*",)}
    assert exhibit.by == ("queue",)
    assert exhibit.windows == (Sliding("15m"), Sliding("1h"), Today(), Tumbling("30m"), All())
    assert [entry.name for entry in exhibit.kpis] == ["sl_80_20", "aht", "fcr_repeat"]
    first = exhibit.kpis[0]
    assert first.parameters == {
        "mode": "E", "threshold_seconds": 20, "short_abandon_seconds": 5,
    }  # fmt: skip
    assert (first.target, first.min_n) == (Target(0.8, None, ">= 0.80"), 30)
    assert (exhibit.kpis[1].target, exhibit.kpis[1].min_n) == (None, 0)
    compiled = catalogue.check_exhibit(exhibit, catalogue.load())
    assert [kpi.id for kpi in compiled] == ["service_level", "aht", "fcr_repeat"]


def test_what_may_be_left_out():
    exhibit = load_exhibit(PLAIN)
    assert (exhibit.version, exhibit.time_zone, exhibit.where, exhibit.by) == (1, "UTC", {}, ())
    assert exhibit.windows == (Sliding("15m"), Sliding("1h"), Today(), All())
    assert exhibit == load_exhibit("# moved down\n" + PLAIN)
    assert [window.size_ms for window in exhibit.windows[:2]] == [900_000, 3_600_000]


def test_the_default_exhibit_is_valid_and_covers_each_family():
    exhibit = load_exhibit(DEFAULT)
    assert exhibit.source.name == str(DEFAULT)
    compiled = catalogue.check_exhibit(exhibit, catalogue.load())
    assert {kpi.part.fact for kpi in compiled} == {
        "queue_segment", "handling_segment", "interaction", "survey", "contact", "journey",
    }  # fmt: skip
    assert exhibit.windows == (
        Sliding("5m"), Sliding("15m"), Sliding("1h"), Today(), Tumbling("30m"), All(),
    )  # fmt: skip
    for entry, kpi in zip(exhibit.kpis, compiled, strict=True):
        if entry.target is not None:
            wanted = "higher" if entry.target.high is None else "lower"
            assert kpi.direction == wanted, entry.name


@pytest.mark.parametrize(
    ("where", "matching", "other"),
    [
        ("", {}, {"direction": "outbound"}),
        ("direction: outbound", {"direction": "outbound"}, {}),
        ('direction: "*"', {"direction": "internal"}, None),
        ("queue: [sales-*, care]", {"queue": "sales-de"}, {"queue": "care-de"}),
        ("queue: [sales-*, care]", {"queue": "care"}, {"queue": "my-sales-de"}),
        ("queue: [sales-*, care]", {"queue": "sales-"}, {"queue": ""}),
        ("queue: ['a.c', 'x[1]*']", {"queue": "x[1]y"}, {"queue": "abc"}),
        ("queue: ['*']", {"queue": ""}, None),
        ("queue: [a], channel: [voice]", {"queue": "a", "channel": "voice"}, {"queue": "a"}),
        ("queue: ['a*b*c']", {"queue": "a\nbxc"}, {"queue": "acb"}),
    ],
)
def test_population(where, matching, other):
    matches = load_exhibit(PLAIN + f"where: {{{where}}}\n").matcher()
    assert matches(Header(**matching)) is True
    if other is not None:
        assert matches(Header(**other)) is False


def test_effective_where_is_inbound_unless_a_direction_is_named():
    assert load_exhibit(SALES_VOICE).effective_where == {
        "channel": ("voice",), "queue": ("sales-*",), "direction": ("inbound",),
    }  # fmt: skip
    named = load_exhibit(PLAIN + "where: {direction: [inbound, outbound]}\n")
    assert named.effective_where == {"direction": ("inbound", "outbound")}


@pytest.mark.parametrize(
    ("text", "target", "met", "missed"),
    [
        (">= 0.80", Target(0.8, None, ""), 0.8, 0.7999),
        ("<= 300", Target(None, 300.0, ""), 300, 300.5),
        ("<=.05", Target(None, 0.05, ""), 0.05, 0.051),
        ("0.10..0.25", Target(0.1, 0.25, ""), 0.25, 0.26),
        ("-20 .. 50", Target(-20.0, 50.0, ""), -20, -21),
    ],
)
def test_targets(text, target, met, missed):
    exhibit = load_exhibit(f'exhibit: e\nkpis:\n  - {{kpi: asa, target: "{text}"}}\n')
    found = exhibit.kpis[0].target
    assert found == target
    assert (found.text, found.met(met), found.met(missed)) == (text, True, False)


def test_every_mistake_of_a_file_is_told_with_its_place():
    assert problems(
        "exhibit: a b\n"
        "version: 1.5\n"
        "time_zone: Europe/Berln\n"
        "wher: {queue: [a]}\n"
        "where: {quue: [x], queue: [], channel: 5}\n"
        "by: [queue, chanel]\n"
        "windows: [5m, 7m, {tumbling: 2h}, {tumbling: 1h, size: 3}]\n"
        "kpis:\n"
        "  - {kpi: asa}\n"
        "  - {kpi: asa}\n"
        "  - {kpi: aht, target: '> 3', min_n: -1, params: {}}\n"
        "  - {as: x}\n"
        "  - hello\n"
        "  - {kpi: offered, target: 3..1}\n"
    ) == [
        "e.yaml:1:1: exhibit: a b is not a name; use letters, digits, _ . and -",
        "e.yaml:2:1: version: a whole number is needed, not 1.5",
        "e.yaml:3:1: unknown time zone Europe/Berln; did you mean Europe/Berlin?",
        "e.yaml:4:1: unknown key wher; did you mean where?",
        "e.yaml:5:9: unknown dimension quue; did you mean queue?",
        "e.yaml:5:20: queue must not be empty",
        "e.yaml:5:31: channel: a list is needed, write [5]",
        "e.yaml:6:13: unknown dimension chanel; did you mean channel?",
        "e.yaml:7:15: 7m is not a window; "
        "write 5m, 15m, 30m, 1h, today, all or {tumbling: 15m | 30m | 1h | day}",
        "e.yaml:7:19: {'tumbling': '2h'} is not a window; "
        "write 5m, 15m, 30m, 1h, today, all or {tumbling: 15m | 30m | 1h | day}",
        "e.yaml:7:35: {'tumbling': '1h', 'size': 3} is not a window; "
        "write 5m, 15m, 30m, 1h, today, all or {tumbling: 15m | 30m | 1h | day}",
        "e.yaml:10:6: asa is used in line 9 already; give this one another `as`",
        'e.yaml:11:16: > 3 is not a target; write ">= 0.80", "<= 300" or "0.10..0.25"',
        "e.yaml:11:31: min_n: a whole number is needed, 0 or more, not -1",
        "e.yaml:11:42: unknown key params; did you mean parameters? "
        "A parameter of the KPI is written parameters: {params: {}}",
        "e.yaml:12:5: the key kpi is missing",
        "e.yaml:13:5: write {kpi: id}, not hello; optional: parameters, attribution, min_n, as, "
        "title, target, target_source, alert, owner, kcr_task, capability, item_ref, intent, "
        "method, frequency, equivalence_note",
        'e.yaml:14:20: the target 3..1 is empty; write "1..3"',
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "e.yaml:1:1: an exhibit is a mapping that begins with `exhibit: name`"),
        ("default.yaml", "e.yaml:1:1: an exhibit is a mapping that begins with `exhibit: name`"),
        ("exhibit: e\n", "e.yaml:1:1: the key kpis is missing"),
        ("exhibit: e\nkpis: []\n", "e.yaml:2:1: kpis must not be empty"),
        ("exhibit: e\nexhibit: f\n", 'e.yaml:2:1: found duplicate key "exhibit"'),
        ("exhibit: [\n", "e.yaml:2:1: expected the node content"),
        ("exhibit: e\nkpis: asa\n", "e.yaml:2:1: kpis: a list is needed; begin"),
        (
            "exhibit: e\nkpis: {asa: {}}\n",
            "e.yaml:2:1: kpis: a list is needed; begin each entry with a dash, as - {kpi: asa}",
        ),
        (
            PLAIN + "by: [queue, site, queue]\n",
            "e.yaml:4:1: queue stands here twice; write it once",
        ),
        (PLAIN + "windows: [1h, all, 1h]\n", "e.yaml:4:1: 1h stands here twice"),
        (
            PLAIN + "windows: [{tumbling: 1h}, {tumbling: 1h}]\n",
            "e.yaml:4:1: {tumbling: 1h} stands here twice",
        ),
        (
            PLAIN + "by: [channel, queue, intent, client, vendor, site, language]\n",
            "e.yaml:4:1: 7 dimensions make 128 sums of every fact; split by at most 6",
        ),
        (PLAIN + "business_hours: {mon: '9-17'}\n", "e.yaml:4:18: mon: 9-17 is no opening time"),
        (
            PLAIN + "business_hours: {mon: '09:00-17:00', holidays: [2026-02-30]}\n",
            "e.yaml:4:49: 2026-02-30 is no date; write one as 2026-12-25",
        ),
        (
            PLAIN + "version: '2'\n",
            "e.yaml:4:1: version: a number is needed, write 2 without quotes",
        ),
        (
            PLAIN + "time_zone:\n",
            "e.yaml:4:1: time_zone has no value; write one, or leave time_zone out",
        ),
        (PLAIN + "---\n" + PLAIN, "e.yaml:4:1: a file holds one exhibit; give the next one"),
        ("exhibit: e\nkpis:\n\t- {kpi: asa}\n", "e.yaml:3:1: a tab stands where the line begins"),
        (f"exhibit: {'x' * 101}\nkpis:\n- {{kpi: asa}}\n", "a name has at most 100 characters"),
        ("exhibit: e\nkpis:\n- {kpi: }\n", "e.yaml:3:4: kpi has no value; write one"),
        (
            "exhibit: e\nkpis:\n- {kpi: 5}\n",
            'e.yaml:3:4: kpi: a text is needed, write "5" in quotes',
        ),
        (
            "exhibit: e\nkpis:\n- {kpi: service_level, mode: E}\n",
            "e.yaml:3:24: unknown key mode; did you mean method? "
            "A parameter of the KPI is written parameters: {mode: E}",
        ),
        (PLAIN + "by: queue\n", "e.yaml:4:1: by: a list is needed, write [queue]"),
        (PLAIN + "where: [queue]\n", "e.yaml:4:1: where: a mapping is needed"),
        (PLAIN + "where: {client: [42]}\n", 'e.yaml:4:18: client: a text is needed, write "42"'),
        (PLAIN + "time_zone: Berlin\n", "did you mean Europe/Berlin?"),
        (PLAIN + "version: 0\n", "e.yaml:4:1: version: a whole number is needed, 1 or more, not 0"),
        (PLAIN + "source: x\n", "e.yaml:4:1: unknown key source"),
        ("exhibit: e\nkpis:\n- {kpi: asa, name: x}\n", "e.yaml:3:14: unknown key name"),
        ("exhibit: e\nkpis:\n- {kpi: asa}\n- {kpi: aht, as: asa}\n", "e.yaml:4:14: asa is used"),
        ("exhibit: e\nkpis:\n- {kpi: asa, parameters: [1]}\n", "parameters: a mapping is needed"),
    ],
)
def test_refused(text, says):
    found = problems(text)
    assert len(found) == 1
    assert says in found[0]


def test_files_are_read_and_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + PLAIN.encode())
    assert load_exhibit(path).exhibit == "e"
    path.write_text(PLAIN + "bi: [queue]\n")
    with pytest.raises(ExhibitError, match=r"mine\.yaml:4:1: unknown key bi; did you mean by\?"):
        load_exhibit(path)
    path.write_bytes(b"exhibit: \xff\n")
    with pytest.raises(ExhibitError, match="the file is not UTF-8 text"):
        load_exhibit(path)


def test_merged_keys_are_placed_where_they_are_used():
    text = (
        "exhibit: e\n"
        "kpis:\n"
        "  - &first {kpi: asa, targt: 1}\n"
        "  - <<: *first\n"
        "    as: second\n"
    )  # fmt: skip
    assert [line.split(": ")[0] for line in problems(text)] == ["e.yaml:3:23", "e.yaml:4:5"]
