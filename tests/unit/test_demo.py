"""What ``make run`` shows in a terminal, and what it says where it cannot start."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.demo.board import Board
from schemas.exhibit_file import load_exhibit
from schemas.values import WindowRef
from tests.support.wallboard import NOON_MS, value

EXHIBIT = load_exhibit("""
exhibit: desk
by: [queue]
windows: [5m, 1h, today]
kpis:
  - {kpi: service_level, as: service_level_without_short_abandons, target: ">= 0.80", min_n: 20}
  - {kpi: asa, target: "<= 30"}
""")


def shown(width: int) -> list[str]:
    """Lines of the table in a terminal so wide."""
    board = Board([EXHIBIT])
    values = [
        value(
            "service_level_without_short_abandons", 0.9876, unit="ratio", n=12_345,
            target=">=0.80", status="n_below_min",
            window=WindowRef("today" if window == "today" else "sliding",
                             None if window == "today" else window, None, None),
        )
        for window in ("5m", "1h", "today")
    ]  # fmt: skip
    board.show(0, {one.key: one for one in values})
    board.tick(0, NOON_MS)
    console = Console(width=width)
    with console.capture() as told:
        console.print(board.table("2026-03-02T10:00:00Z", width))
    return told.get().splitlines()


@pytest.mark.parametrize(
    ("width", "columns"),
    [(200, ["5m", "1h", "today"]), (90, ["5m", "1h"]), (80, ["1h"])],
)
def test_windows_are_left_out_and_no_name_is_cut(width, columns):
    lines = shown(width)
    assert max(map(len, lines)) <= width
    heads = [head.strip() for head in lines[2].strip("┃").split("┃")]
    assert heads == ["KPI", *columns, "n (1h)", "target", "status"]
    cells = [cell.strip() for cell in lines[4].strip("│").split("│")]
    assert cells == [
        "service_level_without_short_abandons", *["98.8%"] * len(columns), "12,345", ">=0.80",
        "n_below_min",
    ]  # fmt: skip


def test_a_data_folder_that_cannot_be_one(tmp_path: Path):
    taken = tmp_path / "file"
    taken.touch()
    done = CliRunner().invoke(app, ["demo", "--data", str(taken)])
    assert done.exit_code == 2
    assert done.stderr == (
        f"cxstream: {taken} cannot be the data folder: File exists; name another with --data\n"
    )


@pytest.mark.clickhouse
@pytest.mark.parametrize("variable", ["CXSTREAM_WALLBOARD_PORT", "CXSTREAM_METRICS_PORT"])
def test_a_port_that_is_taken(tmp_path: Path, variable: str):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = CliRunner().invoke(app, ["demo", "--data", str(tmp_path)], env={variable: str(port)})
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert f"cannot listen on 127.0.0.1:{port}: " in line
    assert line.endswith(f"give it another {variable}, 0 for any free one")
