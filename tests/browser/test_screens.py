"""What the page looks like: on a phone, a desk, a TV; with much on it; in both themes; when old."""

from __future__ import annotations

import pytest

from pipeline.kpi import catalogue
from schemas.exhibit import Exhibit
from schemas.exhibit_file import load_exhibit
from schemas.sources import SourceHeard
from schemas.values import TOTAL, WindowRef
from sinks.wallboard.frames import Compared, LastWeek, Selection
from sinks.wallboard.server import WallboardServer
from tests.support.wallboard import NOON_MS, Shown, value

pytestmark = pytest.mark.browser

MET = {"target": "<=0.05", "status": "met"}
MISSED = {"target": "<=0.05", "status": "missed"}
READY = "document.querySelector('.tile .value')"
QUEUES = [TOTAL, *(f"Reklamation Großgeräte und Ersatzteile {number}" for number in range(30))]
WORST_CONTRAST = """(() => {
  const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const channel = (v) => linear(v / 255);
  const numbers = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = (c) => { const [r, g, b] = numbers(c).map(channel);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const clear = (c) => numbers(c).length === 4 && numbers(c)[3] === 0;
  const behind = (node) => {
    const colour = getComputedStyle(node).backgroundColor;
    return clear(colour) && node.parentElement ? behind(node.parentElement) : colour; };
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const worded = [...document.body.querySelectorAll('*')].filter((node) =>
    [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())
    && node.checkVisibility({ visibilityProperty: true }) && !node.closest('noscript, .skip'));
  const found = worded.map((node) =>
    [ratio(light(getComputedStyle(node).color), light(behind(node))), node.outerHTML]);
  return found.sort((a, b) => a[0] - b[0])[0];
})()"""
"""The lowest contrast of any words that are seen, by WCAG 2.2, with the element that has it."""

TOO_WIDE = """[...document.querySelectorAll('.tile')].flatMap((tile) =>
  [...tile.querySelectorAll('span')].filter((part) =>
    part.getBoundingClientRect().right > tile.getBoundingClientRect().right)
  .map((part) => part.textContent))"""
"""Words that reach over the edge of their tile."""

CUT_OFF = """[...document.querySelectorAll('.tiles > li:not(.cut) .tile')].flatMap((tile) =>
  [...tile.querySelectorAll('span')].filter((part) => {
    const inside = part.getBoundingClientRect();
    return inside.bottom > Math.min(tile.getBoundingClientRect().bottom, innerHeight)
      || part.scrollHeight > part.clientHeight + 2 && getComputedStyle(part).overflowY === 'hidden';
  }).map((part) => part.textContent))"""
"""Words of tiles on a TV that are hidden in part."""


def everything() -> Exhibit:
    """Sixty KPIs, each other one with a target."""
    loaded = catalogue.load()
    targets = {
        "ratio": ">= 0.80", "seconds": "<= 30", "count": "<= 15", "points": ">= 30",
        "score": ">= 4",
    }  # fmt: skip
    lines = []
    for number, name in enumerate(list(loaded.definitions)[:60]):
        target = f', target: "{targets[loaded.compile(name).unit]}"' if number % 2 else ""
        lines.append(f"  - {{kpi: {name}{target}}}")
    head = "exhibit: everything\ntitle: Kundenservice Deutschland und Österreich, Tagesleitung"
    return load_exhibit(f"{head}\nby: [queue]\nwindows: [1h, today]\nkpis:\n" + "\n".join(lines))


def full(exhibit: Exhibit) -> Shown:
    """A board whose every queue has a value of everything, some missed, some compared."""
    shown = Shown(exhibits=(exhibit,))
    loaded = catalogue.load()
    window = WindowRef("sliding", "1h", "2026-03-02T11:00:00Z", None)
    for number, entry in enumerate(exhibit.kpis):
        kpi = loaded.compile(entry.kpi)
        told = {} if entry.target is None else {
            "target": entry.target.text, "status": "missed" if number % 4 == 1 else "met",
        }  # fmt: skip
        shown.put(*(
            value(
                entry.name, 0.3 + number, exhibit="everything", kpi=entry.kpi, unit=kpi.unit,
                queue=queue, window=window, n=None if kpi.gauge else 12_345,
                **told,
            )
            for queue in QUEUES
        ))  # fmt: skip
    shown.tick()
    (chosen,) = shown.board.chosen(Selection())
    week = LastWeek(0.71, NOON_MS - 3_600_000, NOON_MS)
    compared = {entry.name: Compared(week, None) for entry in exhibit.kpis[::3]}
    shown.board.compare({chosen.place: {**compared, "offered": Compared(week, 88.0)}})
    return shown


@pytest.mark.parametrize(
    ("width", "height", "query"), [(360, 740, ""), (1440, 900, ""), (1920, 1080, "?tv")]
)
async def test_nothing_is_wider_than_the_screen(page, server, shown, width, height, query):
    # 27:46:40 h, +100.0 points, 100.0 %: as wide as it gets.
    widest = {"abandon_rate": 1, "asa": 1e5, "sl_80_20": 1, "nps": 100, "offered": 1_234_567}
    missed = {"n": 1_234_567, "target": "0.5..0.75", "status": "missed"}
    shown.put(*(value(name, number, **missed) for name, number in widest.items()))
    shown.tick()
    await page.resize(width, height, phone=width < 500)
    await page.open(server.address + query)
    await page.until(READY)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert await page.evaluate(TOO_WIDE) == []


@pytest.mark.parametrize(("width", "height", "query"), [
    (390, 844, ""), (1440, 900, ""), (1920, 1080, "?tv"), (3840, 2160, "?tv"),
])  # fmt: skip
async def test_sixty_kpis_of_thirty_queues(page, width, height, query):
    shown = full(everything())
    async with WallboardServer(shown.board, catalogue.load()) as server:
        await page.resize(width, height, phone=width < 500)
        await page.open(server.address + query)
        await page.until("document.querySelectorAll('.tile').length === 60")
        assert await page.evaluate("document.querySelectorAll('[name=queue] option').length") == 31
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert await page.evaluate(TOO_WIDE) == []
        if query:
            assert await page.evaluate(CUT_OFF) == []
            seen = await page.evaluate("document.querySelectorAll('.tiles > li:not(.cut)').length")
            # Three lines of four tiles. 15 of 60 are missed: 3 of them do not fit.
            assert seen == 12
            assert await page.evaluate("document.getElementById('more').textContent") == (
                "48 more values do not fit on this screen, 3 of them missed"
            )
        heights = await page.evaluate(
            "[...document.querySelectorAll('.tiles > li:not(.cut) .value')].map((v) =>"
            " [v.closest('.tile').getBoundingClientRect().top, v.getBoundingClientRect().bottom])"
        )
        # In one line of tiles all values stand at one height.
        assert len({(top, bottom) for top, bottom in heights}) == len({top for top, _ in heights})


async def test_a_tv_counts_what_does_not_fit_and_is_read_from_afar(page, server, shown):
    names = ("abandon_rate", "asa", "sl_80_20", "nps", "offered", "fcr_repeat")
    shown.put(*(value(name, 1) for name in names))
    shown.tick()
    await page.resize(1920, 500)
    await page.open(f"{server.address}?tv")
    # Four tiles a row, and room for one row.
    await page.until(
        "document.getElementById('more')?.textContent"
        " === '2 more values do not fit on this screen, none of them missed'"
    )
    size = "parseFloat(getComputedStyle(document.querySelector('.tile {}')).fontSize) / innerWidth"
    assert await page.evaluate(size.format(".value")) >= 0.033  # 4 cm on a screen 1.2 m wide
    assert await page.evaluate(size.format(".title")) >= 0.0155  # 1.9 cm


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("query", ["", "?tv"])
async def test_words_stand_out_from_what_is_behind_them(page, server, shown, scheme, query):
    shown.put(
        value("abandon_rate", 0.09, n=164, low=0.05, high=0.14, **MISSED),
        value("asa", 12.0, target="<=30", status="met"),
        value("sl_80_20", 0.7, target=">=0.8", status="trending"),
        value("nps", None, n=0, target=">=0", status="undefined"),
        value("fcr_repeat", 0.7, n=2, target=">=0.7", status="n_below_min"),
        value("offered", 7),
    )
    shown.board.heard(SourceHeard("pbx", "sales", shown.clock.now_ms - 1_200_000))
    shown.tick()
    (chosen,) = shown.board.chosen(Selection())
    week = Compared(LastWeek(9, NOON_MS - 3_600_000, NOON_MS), 8.25)
    shown.board.compare({chosen.place: {"offered": week}})
    await page.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    await page.open(server.address + query)
    await page.until("document.querySelector('.beside span')")

    async def enough() -> None:
        ratio, where = await page.evaluate(WORST_CONTRAST)
        assert ratio >= 4.5, where  # WCAG 2.2, 1.4.3

    await enough()
    await page.evaluate("document.querySelector('.tile[data-status=missed]').click()")
    await page.until("document.querySelector('dialog[open] .reading')")
    await enough()
    await page.press("Escape", 27)
    shown.clock.pass_seconds(6)
    await page.until("document.querySelector('.tile[data-status=old]')")
    await enough()
