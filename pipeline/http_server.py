"""The one HTTP server of a worker: metrics, and whether it is alive and ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from pipeline.health import Report

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_TEXT = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread of its own: a slow reader holds up no probe."""

    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 30.0

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Write nothing: probes and scrapes are no news."""


def serve(
    host: str, port: int, registry: CollectorRegistry, reports: Mapping[str, Callable[[], Report]]
) -> int:
    """Serve ``/metrics`` and ``/health/<name>`` of each report from a thread; the port.

    Raises:
        OSError: the address cannot be listened on.
    """
    server = make_server(host, port, application(registry, reports), _Server, _Handler)
    Thread(target=server.serve_forever, name="http", daemon=True).start()
    return int(server.server_port)


def application(
    registry: CollectorRegistry, reports: Mapping[str, Callable[[], Report]]
) -> WSGIApplication:
    """The pages as a WSGI application: a report is 200, or 503 with a reason a line."""
    metrics_page = make_wsgi_app(registry)

    def answer(environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environment.get("PATH_INFO", "")
        if path == "/metrics":
            return metrics_page(environment, start)  # type: ignore[no-any-return]
        report = reports.get(path.removeprefix("/health/")) if path != "/" else None
        if report is None or not path.startswith("/health/"):
            return _page(start, HTTPStatus.NOT_FOUND, "no such page")
        good, reasons = report()
        if good:
            return _page(start, HTTPStatus.OK, "ok")
        return _page(start, HTTPStatus.SERVICE_UNAVAILABLE, "\n".join(reasons))

    return answer


def _page(start: StartResponse, status: HTTPStatus, text: str) -> Iterable[bytes]:
    start(f"{status.value} {status.phrase}", list(_TEXT))
    return [f"{text}\n".encode()]
