"""``python -m pipeline.ops`` writes rules and dashboards for exhibits of one's own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline.kpi import catalogue
from pipeline.ops.alerts import Scale
from pipeline.ops.files import made, shipped_exhibit
from schemas.exhibit import ExhibitError
from schemas.exhibit_file import load_exhibit


def main(arguments: list[str]) -> int:
    """Write the files; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.ops", description=__doc__)
    parser.add_argument("--exhibit", type=Path, action="append", help="an exhibit file; repeatable")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="factor on all windows of the rules"
    )
    told = parser.parse_args(arguments)
    try:
        exhibits = [load_exhibit(file) for file in told.exhibit or ()] or [shipped_exhibit()]
        for exhibit in exhibits:
            catalogue.check_exhibit(exhibit, catalogue.load())
        files = made(exhibits, Scale(told.scale))
        for name, text in files.items():
            path = told.out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except ExhibitError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
