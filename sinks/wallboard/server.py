"""The wallboard's web server: the page, its stream, definitions, and the rows behind a value."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from importlib import resources
from typing import Final, NamedTuple, Self

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.kpi.catalogue import Catalogue
from sinks.wallboard.access import is_local
from sinks.wallboard.board import Board
from sinks.wallboard.definition import describe
from sinks.wallboard.frames import Selection, encode
from sinks.wallboard.rows import RowSource
from sinks.wallboard.stream import MAX_CLIENTS, Client, Stream, TooManyClientsError

log = structlog.get_logger(__name__)

WRITE_SECONDS: Final = 10.0
"""A page that does not take what it is sent for this long is dropped."""

_LONGEST_WORD: Final = 200
_RESERVED: Final = frozenset(("exhibit", "window"))
_TYPES: Final = {
    ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml",
}  # fmt: skip
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class _Asset(NamedTuple):
    body: bytes
    content_type: str
    etag: str


def _assets() -> dict[str, _Asset]:
    """The page's files by name, read once: no path of a request reaches the file system."""
    found = {}
    for file in (resources.files("sinks.wallboard") / "page").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in _TYPES:
            body = file.read_bytes()
            digest = hashlib.blake2b(body, digest_size=12).hexdigest()
            found[file.name] = _Asset(body, _TYPES[suffix], digest)
    return found


class WallboardServer:
    """Serves a board: ``async with WallboardServer(board, catalogue) as server: server.address``.

    Args:
        board: Values to show.
        catalogue: Definitions of the KPIs.
        host: Address to listen on.
        port: Port to listen on, 0 for any free one.
        rows: Where the rows behind a value are read; None does not offer them.
        max_clients: Pages that may be open at once.
    """

    def __init__(
        self,
        board: Board,
        catalogue: Catalogue,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        rows: RowSource | None = None,
        max_clients: int = MAX_CLIENTS,
    ) -> None:
        self._board = board
        self._catalogue = catalogue
        self._host = host
        self._port = port
        self._rows = rows
        self._assets = _assets()
        self.stream = Stream(board, max_clients)
        self.address = ""

    async def __aenter__(self) -> Self:
        middlewares = [_local_names_only] if is_local(self._host) else []
        app = web.Application(middlewares=middlewares, client_max_size=1024)
        app.on_response_prepare.append(_add_headers)
        app.add_routes([
            web.get("/", self._page),
            web.get("/page/{name}", self._asset),
            web.get("/events", self._events),
            web.get("/definition/{exhibit}/{name}", self._definition),
            web.get("/rows/{exhibit}/{name}", self._rows_behind),
        ])  # fmt: skip
        # Open streams end with the server; nobody waits for them.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise OSError(
                f"the wallboard cannot listen on {self._host}:{self._port}: {error.strerror};"
                " give it another CXSTREAM_WALLBOARD_PORT, 0 for any free one"
            ) from error
        host, port, *_ = self._runner.addresses[0]
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        self._running = asyncio.create_task(self.stream.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running
        await self._runner.cleanup()

    # --- handlers -------------------------------------------------------------------------------

    async def _page(self, request: web.Request) -> web.Response:
        return self._file(request, "index.html")

    async def _asset(self, request: web.Request) -> web.Response:
        return self._file(request, request.match_info["name"])

    def _file(self, request: web.Request, name: str) -> web.Response:
        asset = self._assets.get(name)
        if asset is None:
            raise web.HTTPNotFound
        known = {tag.value for tag in request.if_none_match or ()}
        unchanged = asset.etag in known
        response = web.Response(
            status=304 if unchanged else 200,
            body=None if unchanged else asset.body,
            content_type=asset.content_type,
            charset="utf-8",
            headers={"Cache-Control": "no-cache"},
        )
        response.etag = asset.etag
        return response

    async def _events(self, request: web.Request) -> web.StreamResponse:
        selection = _selection(request)
        try:
            client = self.stream.open(selection)
        except TooManyClientsError:
            raise web.HTTPServiceUnavailable(
                text="too many open pages", headers={"Retry-After": "10"}
            ) from None
        try:
            response = web.StreamResponse(
                headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
            )
            await response.prepare(request)
            await response.write(b"retry: 2000\n\n")
            await self._feed(request, response, client)
        except ConnectionError:
            pass  # the page was closed, which is how every stream ends
        finally:
            self.stream.close(client)
        return response

    async def _feed(
        self, request: web.Request, response: web.StreamResponse, client: Client
    ) -> None:
        """Send until the page goes away or is too slow."""
        while True:
            frames = await client.take()
            try:
                await asyncio.wait_for(response.write(frames), WRITE_SECONDS)
            except TimeoutError:
                log.info("wallboard_client_dropped", remote=request.remote)
                if request.transport is not None:
                    request.transport.abort()
                return

    async def _definition(self, request: web.Request) -> web.Response:
        shown = self._board.shown(request.match_info["exhibit"])
        found = shown and describe(shown.exhibit, request.match_info["name"], self._catalogue)
        if not found:
            raise web.HTTPNotFound
        return _json(encode(found))

    async def _rows_behind(self, request: web.Request) -> web.Response:
        shown = self._board.shown(request.match_info["exhibit"])
        name = request.match_info["name"]
        if shown is None or name not in shown.entries:
            raise web.HTTPNotFound
        if self._rows is None:
            return _json(encode({"offered": False}))
        value = self._board.value(shown.exhibit.exhibit, name, _selection(request))
        if value is None:
            return _json(encode({"offered": True, "error": "there is no value here"}))
        try:
            found = await self._rows.read(shown.exhibit, value)
        except (ClickHouseError, OSError) as error:
            log.warning("wallboard_rows_failed", error=str(error))
            return _json(encode({"offered": True, "error": "ClickHouse did not answer"}))
        return _json(encode({"offered": True, "found": found}))


def _json(body: bytes) -> web.Response:
    return web.Response(
        body=body, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def _selection(request: web.Request) -> Selection:
    """What a page asks for by its query: exhibit, window, and any dimension by its name."""
    query = request.query
    if len(query) > 20 or any(len(word) > _LONGEST_WORD for pair in query.items() for word in pair):
        raise web.HTTPBadRequest
    dimensions = {name: value for name, value in query.items() if name not in _RESERVED}
    return Selection(
        query.get("exhibit") or None, query.get("window") or None, tuple(sorted(dimensions.items()))
    )


@web.middleware
async def _local_names_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse names that are not ours: a page elsewhere may have its name point to this machine."""
    try:
        name = request.url.host or ""
    except ValueError:
        name = ""
    if not is_local(name):
        raise web.HTTPForbidden(text="this wallboard is shown to its own machine only")
    return await handler(request)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
