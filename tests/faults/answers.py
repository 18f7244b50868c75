"""Stands before a ClickHouse and answers inserts in its place, with the error that is asked for."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

_HOST = "127.0.0.1"
_OF_ONE_HOP = frozenset(("connection", "content-length", "host", "keep-alive", "transfer-encoding"))


class Answers:
    """Forwards HTTP to a ClickHouse: ``with Answers(port) as front: front.port``.

    ``given`` counts the errors that inserts were answered with, by code.

    Args:
        target_port: HTTP port of the server.
    """

    def __init__(self, target_port: int) -> None:
        self.given: Counter[int] = Counter()
        self._target_port = target_port
        self._next: list[tuple[int, str, bool]] = []
        self._lock = threading.Lock()
        front = self

        class Handler(_Handler):
            answers = front

        self._server = ThreadingHTTPServer((_HOST, 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def refuse(self, code: int, name: str, times: int, *, applied: bool = False) -> None:
        """Answer the next inserts with an error; ``applied``: the server has taken their rows."""
        with self._lock:
            self._next += [(code, name, applied)] * times

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def next_error(self) -> tuple[int, str, bool] | None:
        """What the next insert is answered with, None where the server shall answer it."""
        with self._lock:
            return self._next.pop(0) if self._next else None

    def ask(
        self, handler: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """What the server says: status, headers and body."""
        connection = http.client.HTTPConnection(_HOST, self._target_port, timeout=60)
        headers = {k: v for k, v in handler.headers.items() if k.lower() not in _OF_ONE_HOP}
        try:
            connection.request(handler.command, handler.path, body, headers)
            answer = connection.getresponse()
            told = [(k, v) for k, v in answer.getheaders() if k.lower() not in _OF_ONE_HOP]
            return answer.status, told, answer.read()
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: Answers

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Write nothing: what was answered is counted."""

    def do_GET(self) -> None:
        """Forward."""
        self._reply(*self.answers.ask(self, b""))

    def do_POST(self) -> None:
        """Forward, or answer an insert in place of the server."""
        body = self._body()
        error = self.answers.next_error() if self._is_insert(body) else None
        if error is None:
            self._reply(*self.answers.ask(self, body))
            return
        code, name, applied = error
        if applied:
            status, _, told = self.answers.ask(self, body)
            assert status == 200, told
        self.answers.given[code] += 1
        headers = [("X-ClickHouse-Exception-Code", str(code)), ("Content-Type", "text/plain")]
        self._reply(500, headers, f"Code: {code}. DB::Exception: as asked for. ({name})\n".encode())

    def _is_insert(self, body: bytes) -> bool:
        query = parse_qs(urlsplit(self.path).query).get("query", [""])[0]
        if self.headers.get("Content-Encoding"):  # rows, and the query with them
            return not query
        return (query.encode() or body).lstrip()[:6].upper() == b"INSERT"

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(found)

    def _reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
