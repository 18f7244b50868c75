"""The wallboard's page in a Chromium, on values made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.kpi import catalogue
from schemas.exhibit_file import load_exhibit
from schemas.sources import SourceHeard
from schemas.values import WindowRef
from sinks.wallboard.frames import Compared, LastWeek, Selection
from sinks.wallboard.server import WallboardServer
from tests.support.wallboard import NOON_MS, Shown, value

FLOOR = load_exhibit(Path(__file__).parents[2] / "schemas" / "exhibits" / "floor.yaml")

pytestmark = pytest.mark.browser

TITLES = "[...document.querySelectorAll('.tile .title')].map((t) => t.textContent).join('|')"
MET = {"target": "<=0.05", "status": "met"}
MISSED = {"target": "<=0.05", "status": "missed"}


def tile(name):
    return f"document.querySelector('[data-id=\"desk/{name}\"]')"


def text(name, part):
    return f"{tile(name)}?.querySelector('.{part}').textContent"


async def test_values_change_and_a_target_that_is_missed_turns_and_comes_first(page, server, shown):
    shown.put(
        value("asa", 12.34, target="<=30", status="met"),
        value("abandon_rate", 0.031, n=164, low=0.0132, high=0.0694, **MET),
        value("offered", 1234),
    )
    shown.tick()
    await page.open(server.address)
    await page.until(f"{text('abandon_rate', 'value')} === '3.1%'")
    assert await page.evaluate(text("offered", "value")) == "1,234"
    assert await page.evaluate(text("asa", "value")) == "12.3s"
    assert await page.evaluate(text("abandon_rate", "status")) == "met"
    assert await page.evaluate(text("abandon_rate", "facts")) == "target ≤ 5 %n 1641.3 to 6.9 %"
    assert await page.evaluate(TITLES) == "Abandon rate|Average speed of answer|Offered"
    shown.put(
        value("abandon_rate", 0.04, **MET),
        value("asa", 75.0, target="<=30", status="missed"),
    )
    await page.until(f"{text('asa', 'status')} === 'missed'")
    assert await page.evaluate(text("asa", "value")) == "1:15min"
    assert await page.evaluate(TITLES) == "Average speed of answer|Abandon rate|Offered"
    assert await page.evaluate("document.querySelector('.sum').textContent") == "1 missed · 1 met"
    # A screen reader hears that it turned, and nothing of the values that moved.
    await page.until(
        "document.getElementById('announcer').textContent"
        " === 'Average speed of answer missed: 1:15 min'"
    )


async def test_what_is_undefined_is_a_dash_and_what_is_few_is_said_to_be(page, server, shown):
    shown.put(
        value("abandon_rate", None, n=0, target="<=0.05", status="undefined"),
        value("sl_80_20", 0.5, n=2, target=">=0.8", status="n_below_min"),
        value("asa", 40.0, target="<=30", status="trending"),
    )
    shown.tick()
    await page.open(server.address)
    await page.until(f"{text('abandon_rate', 'value')} === '\\u2013'")
    assert await page.evaluate(text("abandon_rate", "status")) == "nothing counted"
    assert await page.evaluate(text("sl_80_20", "status")) == "n too small"
    assert await page.evaluate(text("asa", "status")) == "missed, improving"
    shapes = await page.evaluate(
        "new Set([...document.querySelectorAll('.status svg')].map((s) => s.innerHTML)).size"
    )
    assert shapes == 3  # each status has a shape of its own, not a colour alone


async def test_an_outage_of_the_pipeline_is_old_data_and_not_good_numbers(page, server, shown):
    shown.put(value("abandon_rate", 0.031, **MET))
    shown.tick()
    await page.open(server.address)
    await page.until(f"{text('abandon_rate', 'status')} === 'met'")
    shown.clock.pass_seconds(6)
    await page.until(f"{text('abandon_rate', 'status')} === 'old'")
    notice = await page.evaluate("document.querySelector('.exhibit .notice').textContent")
    assert notice == (
        "Out of date since 12:00:00: the clock of the pipeline stands still. "
        "Do not read these numbers as current."
    )
    label = await page.evaluate(f"{tile('abandon_rate')}.getAttribute('aria-label')")
    assert label.startswith("Abandon rate: 3.1 %. old, target at most 5 %")
    assert await page.evaluate("document.querySelector('.words').textContent") == "out of date"
    struck = await page.evaluate(
        f"getComputedStyle({tile('abandon_rate')}.querySelector('.value')).textDecorationLine"
    )
    assert struck == "line-through"
    shown.tick()
    await page.until(f"{text('abandon_rate', 'status')} === 'met'")


async def test_an_open_drill_down_grows_old_with_its_tile(page, server, shown):
    shown.put(value("abandon_rate", 0.031, n=164, **MET))
    shown.tick()
    await page.open(server.address)
    await page.until(f"{text('abandon_rate', 'status')} === 'met'")
    await page.evaluate(f"{tile('abandon_rate')}.click()")
    said = "document.querySelector('dialog .reading')?.innerText.replace(/\\s+/g, ' ')"
    await page.until(f"{said}?.startsWith('3.1 % met target ≤ 5 % n 164')")
    shown.put(value("abandon_rate", 0.09, n=165, target="<=0.05", status="missed"))
    await page.until(f"{said}.startsWith('9.0 % missed target ≤ 5 % n 165')")
    shown.clock.pass_seconds(6)
    await page.until(f"{said}.startsWith('9.0 % old')")


async def test_numbers_of_a_silent_source_are_marked(page, server, shown):
    shown.put(value("offered", 7), value("asa", 12.0, target="<=30", status="met"))
    shown.board.heard(SourceHeard("pbx", "sales", shown.clock.now_ms - 1_200_000))
    shown.tick()
    await page.open(server.address)
    await page.until(f"{text('asa', 'incomplete')} === 'source silent'")
    assert await page.evaluate(text("offered", "incomplete")) == "source silent"
    assert await page.evaluate("document.querySelector('.unheard').textContent") == (
        "pbx has told nothing since 11:40:00. These numbers are incomplete."
    )
    label = await page.evaluate(f"{tile('asa')}.getAttribute('aria-label')")
    assert label.endswith("incomplete, pbx is silent")
    shown.board.heard(SourceHeard("pbx", "sales", shown.clock.now_ms))
    shown.tick()
    await page.until(f"!{tile('asa')}.querySelector('.incomplete')")
    assert await page.evaluate("document.querySelector('.unheard').hidden") is True


async def test_last_week_and_the_forecast_stand_beside_the_number(page, server, shown):
    shown.put(value("offered", 7))
    shown.tick()
    (chosen,) = shown.board.chosen(Selection())
    week = LastWeek(9, NOON_MS - 3_600_000, NOON_MS)
    shown.board.compare({chosen.place: {"offered": Compared(week, 8.25)}})
    await page.open(server.address)
    await page.until(f"{text('offered', 'beside')} === 'last week 9forecast 8'")


async def test_the_floor_is_a_table_of_queues_and_states(page, shown):
    def gauge(kpi, name, number, queue, unit="count"):
        return value(
            name, number, exhibit="floor", kpi=kpi, parameters={"state": "busy"}, queue=queue,
            unit=unit, window=WindowRef("sliding", "5m", None, None),
        )  # fmt: skip

    floor = Shown(exhibits=(FLOOR,))
    floor.put(
        gauge("performers_by_state", "busy", 3, "*"),
        gauge("performers_by_state", "busy", 3, ""),
        gauge("longest_in_state", "longest_busy", 431.0, "", "seconds"),
    )
    floor.tick()
    async with WallboardServer(floor.board, catalogue.load()) as server:
        await page.open(server.address)
        cells = "[...document.querySelectorAll('.floor tr')].map((r) => r.innerText).join('|')"
        await page.until(f"{cells}.includes('longest 7:11 min')")  # 431 s
        assert (await page.evaluate(cells)).replace("\n", " ").split("|") == [
            "queue\tbusy", "all\t3", "unknown\t3 longest 7:11 min",
        ]  # fmt: skip


async def test_a_server_that_is_gone_is_old_data_too(page, server, shown):
    shown.put(value("abandon_rate", 0.031, **MET))
    shown.tick()
    await page.open(server.address)
    await page.until(f"{text('abandon_rate', 'status')} === 'met'")
    await server.__aexit__(None, None, None)
    await page.until(f"{text('abandon_rate', 'status')} === 'old'")
    assert await page.evaluate("document.querySelector('#lost').hidden") is False
    assert await page.evaluate("document.querySelector('.words').textContent") == "connection lost"


async def test_a_lost_partition_leaves_no_number_and_says_why(page, server, shown):
    shown.put(value("offered", 7))
    shown.tick()
    await page.open(server.address)
    await page.until(f"{text('offered', 'value')} === '7'")
    shown.board.drop(0)
    await page.until("!document.querySelector('.tile')")
    assert await page.evaluate("document.querySelector('.exhibit .silent').textContent") == (
        "No values: its worker gave the exhibit up; no other has it yet."
    )


async def test_by_keyboard_alone(page, server, shown):
    shown.put(value("asa", 12.0, target="<=30", status="met"))
    shown.tick()
    await page.open(server.address)
    await page.until(text("asa", "value"))
    for _ in range(10):
        await page.press("Tab", 9)
        if await page.evaluate(f"document.activeElement === {tile('asa')}"):
            break
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    await page.press("Enter", 13, "\r")
    await page.until("document.querySelector('dialog[open] dl')")
    panel = await page.evaluate("document.querySelector('dialog').innerText")
    assert "Average speed of answer" in panel
    assert "One stay in one queue." in panel
    assert "Sources" in panel
    await page.press("Escape", 27)
    await page.until("!document.querySelector('dialog[open]')")
    assert await page.evaluate(f"document.activeElement === {tile('asa')}")


async def test_a_choice_stands_in_the_address(page, server, shown):
    shown.put(value("offered", 7), value("offered", 3, queue="sales"))
    shown.tick()
    await page.open(server.address)
    await page.until(f"{text('offered', 'value')} === '7'")
    await page.evaluate(
        "(() => { const s = document.querySelector('select[name=queue]'); s.value = 'sales';"
        " s.dispatchEvent(new Event('change')); })()"
    )
    await page.until(f"{text('offered', 'value')} === '3'")
    assert await page.evaluate("location.search") == "?queue=sales"
    await page.open(f"{server.address}?queue=sales&window=15m")
    await page.until("document.querySelector('.silent')?.textContent.includes('nothing has')")


async def test_names_are_text_whatever_they_hold(page, server, shown):
    queue = "<img src=x onerror=document.title='broken'>"
    shown.put(value("offered", 3, queue=queue))
    shown.tick()
    await page.open(server.address)
    await page.until("document.querySelectorAll('select[name=queue] option').length === 2")
    assert await page.evaluate("document.querySelectorAll('img').length") == 0
    assert await page.evaluate("document.title") == "Wallboard"


async def test_nothing_is_asked_of_any_other_place(page, server, shown):
    shown.put(value("asa", 12.0, target="<=30", status="met"))
    shown.tick()
    await page.open(server.address)
    await page.until(text("asa", "value"))
    assert [one for one in page.requested if not one.startswith(server.address)] == []
    assert page.complaints == []
