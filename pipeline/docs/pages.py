"""Which files are generated, rules and dashboards among them, and where generated text stands.

A region of a page begins with ``<!-- generated: NAME -->`` and ends with ``<!-- end: NAME -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from pipeline.docs import reference
from pipeline.docs.fields import fields
from pipeline.docs.kpis import FOLDER, kpi_pages
from pipeline.docs.presets import presets_reference
from pipeline.ops import files

_REGION: Final = re.compile(
    r"(?P<head><!-- generated: (?P<name>[a-z-]+) -->\n).*?(?P<foot><!-- end: (?P=name) -->)",
    re.DOTALL,
)
REGIONS: Final[Mapping[str, Callable[[], str]]] = {
    "alerts": files.alerts_table,
    "commands": reference.commands,
    "exhibit-fields": fields,
    "metrics": reference.metrics_table,
    "platforms": reference.platforms,
    "presets": presets_reference,
    "settings": reference.settings,
    "topics": reference.topics,
}


def filled(text: str) -> str:
    """The page with every generated region as it should be.

    Raises:
        KeyError: for a region that nothing generates.
    """
    return _REGION.sub(lambda m: f"{m['head']}{REGIONS[m['name']]()}{m['foot']}", text)


def wanted(root: Path) -> dict[str, str]:
    """Text of every document with generated parts, by path from ``root``."""
    found = files.shipped() | kpi_pages(root)
    for path in sorted([root / "README.md", *(root / "docs").rglob("*.md")]):
        name = path.relative_to(root).as_posix()
        if name not in found:
            text = path.read_text("utf-8")
            if _REGION.search(text):
                found[name] = filled(text)
    return found


def stale(root: Path) -> list[str]:
    """Documents that differ from what is generated, those that are left over included."""
    found = wanted(root)
    changed = [
        name
        for name, text in found.items()
        if not (root / name).is_file() or (root / name).read_text("utf-8") != text
    ]
    return changed + [path.relative_to(root).as_posix() for path in _left_over(root, found)]


def write(root: Path) -> None:
    """Bring all documents up to date."""
    found = wanted(root)
    for path in _left_over(root, found):
        path.unlink()
    for name, text in found.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")


def _left_over(root: Path, found: Mapping[str, str]) -> list[Path]:
    """Pages of the reference whose KPI is gone."""
    pages = sorted((root / FOLDER).glob("*.md"))
    return [path for path in pages if path.relative_to(root).as_posix() not in found]
