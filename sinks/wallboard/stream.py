"""Server-sent events: each page gets the newest frames of its selection, and never a queue."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from sinks.wallboard.board import Board
from sinks.wallboard.frames import Selection, encode, event

MAX_CLIENTS: Final = 200
_SHORTEST_PAUSE_SECONDS: Final = 0.25
_HEARTBEAT_SECONDS: Final = 1.0
_TREND_SECONDS: Final = 30.0


class TooManyClientsError(Exception):
    """As many pages are open as are served."""


class Client:
    """One open page: the newest event of each name that it has not been sent yet."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self._newest: dict[str, bytes] = {}
        self._filled = asyncio.Event()

    def put(self, name: str, frame: bytes) -> None:
        """Leave an event; one of the same name that still waits is replaced."""
        self._newest[name] = frame
        self._filled.set()

    async def take(self) -> bytes:
        """Wait for events; all that wait, in one piece."""
        await self._filled.wait()
        self._filled.clear()
        frames = b"".join(self._newest.values())
        self._newest.clear()
        return frames


class Stream:
    """Sends frames of the board to all clients; one frame is made for all of a selection.

    ``run()`` ends only when it is cancelled.
    """

    def __init__(self, board: Board, max_clients: int = MAX_CLIENTS) -> None:
        self._board = board
        self._max_clients = max_clients
        self._clients: set[Client] = set()
        self._last: dict[Selection, bytes] = {}
        #: Set when a page opens; whoever waits for it clears it.
        self.opened = asyncio.Event()

    @property
    def clients(self) -> int:
        """Pages that are open."""
        return len(self._clients)

    @property
    def selections(self) -> set[Selection]:
        """What open pages have chosen."""
        return {client.selection for client in self._clients}

    def open(self, selection: Selection) -> Client:
        """Add a page; its first frames wait already.

        Raises:
            TooManyClientsError: there are as many as are served.
        """
        if len(self._clients) >= self._max_clients:
            raise TooManyClientsError
        client = Client(selection)
        client.put("board", event("board", encode(self._board.frame(selection))))
        client.put("trends", self._trends(selection))
        self._clients.add(client)
        self.opened.set()
        return client

    def close(self, client: Client) -> None:
        """Remove a page."""
        self._clients.discard(client)
        if not any(other.selection == client.selection for other in self._clients):
            self._last.pop(client.selection, None)

    async def run(self) -> None:
        """Tell clients what changed, at most four times a second, and that we live each second."""
        loop = asyncio.get_running_loop()
        trends_due = loop.time() + _TREND_SECONDS
        while True:
            # A page must hear that its server lives, also when nothing changes.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._board.changed.wait(), _HEARTBEAT_SECONDS)
            self._board.changed.clear()
            self._send(with_trends=loop.time() >= trends_due)
            if loop.time() >= trends_due:
                trends_due = loop.time() + _TREND_SECONDS
            await asyncio.sleep(_SHORTEST_PAUSE_SECONDS)

    def _send(self, *, with_trends: bool) -> None:
        for selection in self.selections:
            clients = [client for client in self._clients if client.selection == selection]
            frame = event("board", encode(self._board.frame(selection)))
            alive = event("alive", b"{}")
            changed = self._last.get(selection) != frame
            self._last[selection] = frame
            trends = self._trends(selection) if with_trends else b""
            for client in clients:
                if changed:
                    client.put("board", frame)
                else:
                    client.put("alive", alive)
                if trends:
                    client.put("trends", trends)

    def _trends(self, selection: Selection) -> bytes:
        return event("trends", encode(self._board.trends(selection)))
