"""``cxstream inventory`` on plan items in a real ClickHouse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.facts import Header, PlanItem, values
from sinks.clickhouse.rows import COLUMNS

pytestmark = pytest.mark.clickhouse

CXSTREAM = Path(sys.executable).parent / "cxstream"


def ms(text: str | None) -> int | None:
    if text is None:
        return None
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def row(number, plan, performer, task, starts, ends=None, *, version="m1", value=1, owner=""):
    kind = "human" if performer == "ann" else "bot"
    header = Header(
        performer_id=performer, performer_kind=kind, kcr_task=task, model_version=version
    )
    item = PlanItem(
        header, f"p{number}", plan, "", "", owner, f"{performer} {task}", ms(starts), ms(ends),
        ms(starts), value * 1_000_000,
    )  # fmt: skip
    return [f"plan/p{number}", 1, 0, *values(item)]


ROWS = [
    row(1, "employment", "robo", "billing", "2026-01-01", version="m1", owner="ops"),
    row(2, "employment", "robo", "billing", "2026-03-01", version="m2", owner="ai-team"),
    row(3, "verification", "robo", "billing", "2026-01-02", version="m1"),
    row(4, "verification", "robo", "billing", "2026-03-05", "2026-06-05", version="m2"),
    row(5, "ethics_check", "robo", "billing", "2026-01-03"),
    row(6, "ethics_check", "robo", "billing", "2026-03-04", value=0),
    row(7, "employment", "robo", "returns", "2026-02-01", "2026-02-11"),
    row(8, "employment", "chat", "billing", "2026-02-01"),
    row(9, "verification", "chat", "billing", "2026-02-02", version="m0"),
    row(10, "employment", "ann", "billing", "2026-02-01"),
    row(11, "verification", "ghost", "billing", "2026-02-01"),
]  # fmt: skip


def inventory(settings, *options):
    environment = {
        **os.environ,
        "COLUMNS": "120",
        "CXSTREAM_CLICKHOUSE_HOST": settings.host,
        "CXSTREAM_CLICKHOUSE_PORT": str(settings.port),
        "CXSTREAM_CLICKHOUSE_USER": settings.user,
        "CXSTREAM_CLICKHOUSE_PASSWORD": settings.password.get_secret_value(),
        "CXSTREAM_CLICKHOUSE_DATABASE": settings.database,
    }
    done = subprocess.run(
        [CXSTREAM, "inventory", *options], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_the_performers_in_service_at_a_moment(migrated, settings):
    await migrated.insert("facts_plan", ROWS, column_names=list(COLUMNS["facts_plan"]))
    text = inventory(settings, "--json", "--as-of", "2026-06-01T00:00:00Z")
    chat, robo = map(json.loads, text.splitlines())
    assert (chat["performer_id"], chat["verified"], chat["verified_version"]) == (
        "chat", False, "m0",
    )  # fmt: skip
    assert chat["ethics_checks"] == 0
    assert chat["ethics_checked_at"] is None
    assert robo["kcr_task"] == "billing"
    assert (robo["model_version"], robo["owner"]) == ("m2", "ai-team")
    assert robo["in_service_from"].startswith("2026-01-01")
    assert robo["in_service_until"] is None
    assert robo["verified"] is True
    assert robo["verified_at"].startswith("2026-03-05")
    assert robo["verified_until"].startswith("2026-06-05")
    assert (robo["ethics_checks"], robo["ethics_check_passed"]) == (2, 0)
    assert robo["ethics_checked_at"].startswith("2026-03-04")


async def test_a_verification_that_ran_out_and_a_service_that_ended(migrated, settings):
    await migrated.insert("facts_plan", ROWS, column_names=list(COLUMNS["facts_plan"]))
    later = inventory(settings, "--json", "--as-of", "2026-06-05T00:00:00Z").splitlines()
    assert [json.loads(line)["verified"] for line in later] == [False, False]
    earlier = inventory(settings, "--json", "--as-of", "2026-02-05T00:00:00Z").splitlines()
    assert [json.loads(line)["kcr_task"] for line in earlier] == ["billing", "billing", "returns"]
    table = inventory(settings, "--as-of", "2026-06-01T00:00:00Z")
    (line,) = (line for line in table.splitlines() if "robo" in line)
    told = [cell.strip() for cell in line.strip("│").split("│")]
    assert told == [
        "billing", "robo", "m2", "ai-team", "2026-03-05 to 2026-06-05", "2, 2026-03-04 failed",
    ]  # fmt: skip


def test_a_time_that_is_none(tmp_path):
    done = subprocess.run(
        [CXSTREAM, "inventory", "--as-of", "2026-06-01"], capture_output=True, text=True,
        check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert "the time needs an offset" in done.stderr
