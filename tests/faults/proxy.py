"""A TCP proxy that cuts, resets, freezes, strands, delays and limits what flows through it."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import Counter
from contextlib import suppress
from typing import Self

from pipeline.embedded.process import free_ports

_HOST = "127.0.0.1"
_READ_BYTES = 65_536
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on with no time: closing sends RST and throws away what was not sent."""


class Proxy:
    """Forwards connections to a port of this machine: ``with Proxy(port) as proxy: proxy.port``.

    ``hits`` counts what a fault did, so that a test can tell one that hit from one that missed:
    connections ``cut`` and ``refused``, and blocks of bytes ``held`` (frozen, delayed or limited)
    and ``swallowed`` (half-open).

    Args:
        target_port: Where connections go.
        port: Where they come in, any free one unless given.
    """

    def __init__(self, target_port: int, port: int = 0) -> None:
        self.target_port = target_port
        self.port = port or free_ports(1)[0]
        self.hits: Counter[str] = Counter()
        self._open = True
        self._delay_seconds = 0.0
        self._bytes_per_second = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._stranded: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    # --- faults -----------------------------------------------------------------------------------

    def cut(self) -> None:
        """Reset what is connected, and refuse what comes."""
        self._do(self._close(listening=False))

    def reset(self) -> None:
        """Reset what is connected; new connections are welcome."""
        self._do(self._close(listening=True))

    def freeze(self) -> None:
        """Let nothing through and lose nothing, as behind a pulled cable."""
        self._do(self._set(frozen=True))

    def strand(self) -> None:
        """Leave what is connected half-open: neither side hears of the other. New ones are fine."""
        self._do(self._strand())

    def delay(self, seconds: float) -> None:
        """Let every block of bytes wait."""
        self._delay_seconds = seconds

    def limit(self, bytes_per_second: float) -> None:
        """Let no connection be faster than this in either direction."""
        self._bytes_per_second = bytes_per_second

    def heal(self) -> None:
        """Let everything through again."""
        self._delay_seconds = self._bytes_per_second = 0.0
        self._do(self._set(frozen=False))

    # --- how --------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)  # type: ignore[arg-type]

    async def _start(self) -> None:
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._server = await asyncio.start_server(self._connected, _HOST, self.port)

    async def _stop(self) -> None:
        self._server.close()
        await self._close(listening=False)
        self._thawed.set()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _set(self, *, frozen: bool) -> None:
        self._open = True
        if frozen:
            self._thawed.clear()
        else:
            self._thawed.set()

    async def _strand(self) -> None:
        self._stranded |= self._writers

    async def _close(self, *, listening: bool) -> None:
        self._open = listening
        for writer in tuple(self._writers):
            self.hits["cut"] += 1
            _abort(writer)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            self.hits["refused"] += 1
            _abort(writer)
            return
        try:
            there, back = await asyncio.open_connection(_HOST, self.target_port)
        except OSError:
            # The server behind it is away: so is the proxy.
            _abort(writer)
            return
        both = {writer, back}
        self._writers |= both
        try:
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        finally:
            self._writers -= both
            self._stranded -= both
            for end in both:
                end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_READ_BYTES):
                await self._hold(len(data))
                if writer in self._stranded:
                    self.hits["swallowed"] += 1
                    continue
                writer.write(data)
                await writer.drain()
        if writer not in self._stranded:
            writer.close()

    async def _hold(self, size: int) -> None:
        if self._delay_seconds or self._bytes_per_second or not self._thawed.is_set():
            self.hits["held"] += 1
        if self._delay_seconds:
            await asyncio.sleep(self._delay_seconds)
        if self._bytes_per_second:
            await asyncio.sleep(size / self._bytes_per_second)
        await self._thawed.wait()


def _abort(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
