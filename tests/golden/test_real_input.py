"""Real input as numbers: what platforms wrote, and what follows from it by hand."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.golden.harness import cxstream, differences, json_lines
from tests.golden.table import Json, exhibit_of, values

pytestmark = pytest.mark.samples

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples"


@pytest.fixture(autouse=True, scope="module")
def _samples() -> None:
    if SAMPLES.is_dir():
        return
    if os.environ.get("CI") == "true":
        pytest.fail("the folder ../shared/samples is missing")
    pytest.skip("the folder ../shared/samples is missing")


def replay(
    folder: Path, table: str, platform: str, *arguments: str | Path
) -> tuple[list[str], list[Json], Json]:
    """What of a table does not come out of a replay; its rows and its summary."""
    expected = values(table)
    file = folder / "exhibit.yaml"
    file.write_text(json.dumps(exhibit_of("real", expected)))
    rows, summary = json_lines(
        cxstream("replay", f"--platform={platform}", f"--exhibit={file}", "--json", *arguments)
    )
    return differences(rows, expected), rows, summary


# --- Asterisk -----------------------------------------------------------------------------------

# 21 entries. Eight are answered after 1, 2, 4, 5, 5, 6, 36 and 84 s: 143 s. Twelve abandon after 2,
# 3, 10, 13, 15, 17, 17, 17, 21, 23, 32 and 45 s: 215 s. One still waits where the log stops. Seven
# of the answered calls end in it, after 0, 3, 4, 5, 8, 12 and 13 s of talk: 45 s.
QUEUE_LOG = """
| KPI | window | for | numerator | denominator | value | state |
|---|---|---|---|---|---|---|
| `offered` | all | * | 21 | 21 | 21 | provisional |
| `answered` | all | * | 8 | 8 | 8 | provisional |
| `abandoned` | all | * | 12 | 12 | 12 | provisional |
| `queue_depth` | all | * | 1 | null | 1 | provisional |
| `asa` | all | * | 143000 | 8 | 17.875 | provisional |
| `mean_time_to_abandon` | all | * | 215000 | 12 | 17.917 | provisional |
| `talk_time` | all | * | 45000 | 7 | 6.429 | provisional |
| `service_level mode=A` | all | * | 6 | 20 | 0.30 | provisional |
| `service_level mode=B` | all | * | 6 | 12 | 0.50 | provisional |
| `service_level mode=C` | all | * | 14 | 20 | 0.70 | provisional |
| `service_level mode=D` | all | * | 6 | 8 | 0.75 | provisional |
| `service_level mode=E` | all | * | 6 | 18 | 0.3333 | provisional |
| `service_level mode=F` | all | * | 8 | 20 | 0.40 | provisional |
"""


def test_a_queue_log_that_stops_in_the_middle_of_calls(tmp_path):
    log = SAMPLES / "asterisk" / "queue_log"
    wrong, _, summary = replay(tmp_path, QUEUE_LOG, "asterisk_queue_log", "--as-of=last", log)
    assert wrong == []
    assert summary["dead_letters"] == {}


# The vendor's hourly statistics of agents, by case.
WAZO = {
    1: """
| KPI | window | for | numerator | denominator | value | state |
|---|---|---|---|---|---|---|
| `answered` | 1h 2012-07-01T08:00 | performer_id=Agent/1 | 1 | 1 | 1 | final |
| `answered` | 1h 2012-07-01T09:00 | performer_id=Agent/1 | 1 | 1 | 1 | final |
| `answered` | 1h 2012-07-01T10:00 | performer_id=Agent/1 | 1 | 1 | 1 | final |
| `answered` | all | performer_id=Agent/1 | 3 | 3 | 3 | final |
""",
    # By the times of the rows each call lasts 4 s; the platform measured 10 s, and that counts.
    2: """
| KPI | window | for | numerator | denominator | value | state |
|---|---|---|---|---|---|---|
| `answered` | 1h 2012-01-01T09:00 | performer_id=Agent/2 | 6 | 6 | 6 | final |
| `answered` | all | performer_id=Agent/2 | 6 | 6 | 6 | final |
| `talk_time` | 1h 2012-01-01T09:00 | performer_id=Agent/2 | 60000 | 6 | 10.0 | final |
| `talk_time` | all | performer_id=Agent/2 | 60000 | 6 | 10.0 | final |
""",
    15: """
| KPI | window | for | numerator | denominator | value | state |
|---|---|---|---|---|---|---|
| `answered` | 1h 2012-01-01T09:00 | performer_id=Agent/11 | 1 | 1 | 1 | final |
| `wrap_time` | 1h 2012-01-01T09:00 | performer_id=Agent/11 | 15000 | 1 | 15.0 | final |
| `wrap_time` | all | performer_id=Agent/11 | 15000 | 1 | 15.0 | final |
""",
    16: """
| KPI | window | for | numerator | denominator | value | state |
|---|---|---|---|---|---|---|
| `answered` | 1h 2013-11-08T09:00 | performer_id=Agent/12 | 1 | 1 | 1 | final |
| `answered` | all | performer_id=Agent/12 | 1 | 1 | 1 | final |
| `answered` | 1h 2013-11-08T10:00 | performer_id=Agent/13 | 1 | 1 | 1 | final |
| `answered` | all | performer_id=Agent/13 | 1 | 1 | 1 | final |
""",
}


def wazo_case(number: int) -> Json:
    cases = json.loads((SAMPLES / "asterisk" / "wazo-agent-statistics.json").read_text("utf-8"))
    return next(case for case in cases if case["case"] == number)


@pytest.mark.parametrize("number", [1, 2, 15, 16])
def test_agent_statistics_as_their_vendor_expects_them(tmp_path, number):
    case = wazo_case(number)
    log = tmp_path / "rows.json"
    log.write_text(json.dumps({"queue_log": case["queue_log"]}))
    wrong, rows, _ = replay(
        tmp_path, WAZO[number], "asterisk_queue_log", "--option=time_zone=UTC", log
    )
    assert wrong == []
    # In the other hours the vendor expects nothing, and there is nothing.
    expected = {value.window for value in values(WAZO[number])}
    hours = {row["window"]["start"] for row in rows if row["window"]["kind"] == "tumbling"}
    assert hours == {start for _, size, start in expected if size == "1h"}


PARIS = ZoneInfo("Europe/Paris")

# Milliseconds by local hour, as far as the clock says, or the last row. The vendor shows the hours
# of its configuration only, in whole seconds, rounded down.
WAZO_TIMES = {
    # 09:10:10.777 to 09:25:10.777. What ends a pause a second later logs in nobody.
    3: ("login_time", "2012-01-01T12:00", {9: 900_000}),
    # 6 s, 30 s, and from 09:50 on.
    4: ("login_time", "2012-01-01T12:00", {9: 636_000, 10: 3_600_000, 11: 3_600_000}),
    # From 08:50:00.999; then 66 s and 30 s.
    5: ("login_time", "2012-01-01T12:00", {8: 599_001, 9: 96_000}),
    # A logoff at 08:00 tells of 300 s before it, another one of 30 s that lie in these. The end
    # lies in the hour that begins with it, and nothing else does.
    6: ("login_time", "2012-01-02T09:00", {7: 300_000, 8: 0}),
    # The same at 10:00.
    7: ("login_time", "2012-01-02T10:00", {9: 300_000}),
    # From 09:50:00.999 on.
    8: ("login_time", "2012-01-02T10:00", {9: 599_001}),
    # Twice 300 s, and from 09:30 on.
    9: ("login_time", "2012-01-02T10:00", {8: 600_000, 9: 1_800_000}),
    # From 08:50:00.999 on the day before to the day after.
    10: ("login_time", "2012-01-02T12:00", dict.fromkeys(range(12), 3_600_000)),
    # 305.001 s, then 09:45 to 10:02:30.
    12: ("login_time", "2012-01-01T12:00", {9: 1_205_001, 10: 150_000}),
    # 08:41:30 to 08:46:38 and 08:47:16 to 08:50:46 are 308 + 210 s; 09:41:10 to 10:46.
    13: ("pause_time", "2012-01-01T12:00", {8: 518_000, 9: 1_130_000, 10: 2_760_000, 11: 0}),
    # The same, and nobody ends the last pause.
    14: (
        "pause_time",
        "2012-01-01T12:00",
        {8: 518_000, 9: 1_130_000, 10: 3_600_000, 11: 3_600_000},
    ),
}


@pytest.mark.parametrize("number", WAZO_TIMES)
def test_login_and_pause_as_their_vendor_expects_them(tmp_path, number):
    kpi, clock, expected = WAZO_TIMES[number]
    case = wazo_case(number)
    log, exhibit = tmp_path / "rows.json", tmp_path / "exhibit.yaml"
    log.write_text(json.dumps({"queue_log": case["queue_log"]}))
    asked = {"time_zone": PARIS.key, "windows": [{"tumbling": "1h"}], "kpis": [{"kpi": kpi}]}
    exhibit.write_text(json.dumps({"exhibit": "agents", **asked}))
    rows, summary = json_lines(
        cxstream(
            "replay", "--platform=asterisk_queue_log", f"--option=time_zone={PARIS.key}",
            f"--exhibit={exhibit}", f"--as-of={clock}:00+01:00", "--json", log,
        )
    )  # fmt: skip
    assert summary["dead_letters"] == {}
    day, _ = clock.split("T")
    found = {
        at.hour: row["numerator"]
        for row in rows
        if (at := datetime.fromisoformat(row["window"]["start"]).astimezone(PARIS)).date()
        == date.fromisoformat(day)
    }
    assert found == expected
    column = "Login" if kpi == "login_time" else "Pause"
    *hours, total = case["expected"][0]["rows"]
    seconds = [found.get(int(row["interval"].partition("h")[0]), 0) // 1000 for row in hours]
    assert [str(timedelta(seconds=s)).zfill(8) for s in seconds] == [row[column] for row in hours]
    assert str(timedelta(seconds=sum(seconds))).zfill(8) == total[column]


# --- Rasa ---------------------------------------------------------------------------------------

# Seven of eleven senders wrote something; to the others the bot only opened a session. Nobody was
# handed over, and every conversation fell silent without a word on whether it was resolved.
RASA = """
| KPI | window | for | numerator | denominator | value | state |
|---|---|---|---|---|---|---|
| `interactions` | all | * | 7 | 7 | 7 | final |
| `bot_sessions` | all | * | 7 | 7 | 7 | final |
| `handoff_rate` | all | * | 0 | 7 | 0.0 | final |
| `containment_naive` | all | * | 7 | 7 | 1.0 | final |
| `containment_true` | all | * | 0 | 7 | 0.0 | final |
"""


def test_bot_conversations(tmp_path):
    log = SAMPLES / "rasa" / "broker-events.jsonl"
    wrong, _, summary = replay(tmp_path, RASA, "rasa", log)
    assert wrong == []
    assert summary["records"] == 68
    assert summary["dead_letters"] == {}


def test_turns_of_bot_conversations():
    log = SAMPLES / "rasa" / "broker-events.jsonl"
    events, _ = json_lines(cxstream("replay", "--platform=rasa", "--emit=events", "--json", log))
    turns = Counter(event["user_turn"] for event in events if event["kind"] == "bot_turn")
    assert turns == {True: 15, False: 12}
    assert {event["kind"] for event in events} == {"bot_started", "bot_turn"}


# --- Amazon Connect -----------------------------------------------------------------------------

CONNECT_RECORD = """
| KPI | window | for | numerator | denominator | value | state |
|---|---|---|---|---|---|---|
| `asa` | all | * | 7000 | 1 | 7.0 | final |
| `talk_time` | all | * | 33000 | 1 | 33.0 | final |
| `hold_time` | all | * | 0 | 1 | 0.0 | final |
| `wrap_time` | all | * | 32000 | 1 | 32.0 | final |
| `aht` | all | * | 65000 | 1 | 65.0 | final |
"""


def test_a_contact_record(tmp_path):
    record = SAMPLES / "amazon-connect" / "contact-record-voice-inbound.json"
    wrong, _, summary = replay(tmp_path, CONNECT_RECORD, "amazon_connect", record)
    assert wrong == []
    assert summary["records"] == 1


def test_records_of_other_streams_are_counted_by_type(tmp_path):
    files = sorted((SAMPLES / "amazon-connect").glob("*.json"))
    _, summary = json_lines(cxstream("replay", "--platform=amazon_connect", "--json", *files))
    assert summary["records"] == 13
    assert summary["dead_letters"] == {}
    assert summary["ignored"] == {
        "case_event": 2, "contact_flow_log": 1, "contact_lens_rule": 2, "realtime_segments": 4,
    }  # fmt: skip


def test_what_is_no_json_is_a_dead_letter():
    files = sorted((SAMPLES / "amazon-connect").glob("*.as-published.txt"))
    _, summary = json_lines(cxstream("replay", "--platform=amazon_connect", "--json", *files))
    assert summary["dead_letters"] == {"bad_json": len(files)} == {"bad_json": 2}


# --- a bank's day -------------------------------------------------------------------------------

# 2,375 rows, 18 of them phantoms. 1,511 calls are answered, 404 of them within 20 s; 846 hang up,
# 728 of them in the queue (179 within 20 s, 9 below 5 s) and 118 in the bot. Three rows have a
# negative time in the bot and lose only that.
BANK_DAY = """
| KPI | window | for | numerator | denominator | value | state |
|---|---|---|---|---|---|---|
| `interactions` | all | * | 2357 | 2357 | 2357 | final |
| `offered` | all | * | 2239 | 2239 | 2239 | final |
| `answered` | all | * | 1511 | 1511 | 1511 | final |
| `abandoned` | all | * | 728 | 728 | 728 | final |
| `asa` | all | * | 203753000 | 1511 | 134.85 | final |
| `mean_time_to_abandon` | all | * | 57882000 | 728 | 79.51 | final |
| `talk_time` | all | performer_kind=human | 292810000 | 1511 | 193.79 | final |
| `service_level mode=A` | all | * | 404 | 2239 | 0.1804 | final |
| `service_level mode=C` | all | * | 583 | 2239 | 0.2604 | final |
| `service_level mode=D` | all | * | 404 | 1511 | 0.2674 | final |
| `service_level mode=E` | all | * | 404 | 2230 | 0.1812 | final |
| `bot_sessions` | all | * | 2354 | 2354 | 2354 | final |
| `bot_abandon_rate` | all | * | 118 | 2354 | 0.0501 | final |
| `handoff_rate` | all | * | 2236 | 2354 | 0.9499 | final |
"""


def test_a_day_of_a_bank(tmp_path):
    log = SAMPLES / "call-logs" / "bank-one-day.csv"
    wrong, _, summary = replay(tmp_path, BANK_DAY, "bank_call_log", log)
    assert wrong == []
    assert summary["records"] == 2375
    assert summary["ignored"] == {"PHANTOM": 18}
    assert summary["dead_letters"] == {}
