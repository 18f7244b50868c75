"""Reading exhibit files for commands."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from pipeline.cli.output import Exit, fail
from pipeline.exhibit.sense import check_sense
from pipeline.kpi import catalogue
from schemas.exhibit import Exhibit, ExhibitError
from schemas.exhibit_file import load_exhibit


def read_exhibits(files: Sequence[Path]) -> list[Exhibit]:
    """Load and check ``files``, the shipped default exhibit without any; ends on a mistake."""
    found = []
    for file in files or [default_exhibit()]:
        try:
            exhibit = load_exhibit(file)
            check_sense(exhibit, catalogue.check_exhibit(exhibit, catalogue.load()))
        except ExhibitError as error:
            fail(str(error), Exit.BAD_INPUT)
        except OSError as error:
            fail(f"{file}: {error.strerror}", Exit.BAD_INPUT)
        found.append(exhibit)
    names = [exhibit.exhibit for exhibit in found]
    if len(set(names)) < len(names):
        fail(f"two exhibits have one name: {', '.join(names)}", Exit.BAD_INPUT)
    return found


def default_exhibit() -> Path:
    """The exhibit that is used when none is named."""
    return _shipped("default.yaml")


def floor_exhibit() -> Path:
    """Performers by state and queue."""
    return _shipped("floor.yaml")


def _shipped(name: str) -> Path:
    return Path(str(resources.files("schemas.exhibits") / name))
