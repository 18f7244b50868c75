from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pipeline.kpi import catalogue
from sinks.wallboard.server import WallboardServer
from tests.support.browser import Browser, Page
from tests.support.wallboard import Shown


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """An empty tab."""
    async with Browser() as browser:
        yield await browser.page()


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
async def server(shown: Shown) -> AsyncIterator[WallboardServer]:
    """A server that shows the board of the test."""
    async with WallboardServer(shown.board, catalogue.load()) as running:
        yield running
