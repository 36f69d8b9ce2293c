"""The gateway's page for operators: /livez, /readyz, /metrics, on a listener of its own.

The standard library's server does: three pages of text for a prober and a scraper, no body is read, nothing is kept alive.
What strangers could do to it is bounded here: connections at a time, the time of each, and methods; the sizes of a request line
and of headers by ``http.server`` itself (64 KiB, 100).
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

_log = logging.getLogger(__name__)

_AT_ONCE = 8
_SECONDS = 5.0
"""For a whole request and its answer."""

Page = Callable[[], tuple[HTTPStatus, str, bytes]]
"""Status, content type and body."""


class Health:
    """Serves ``pages`` by their paths on ``address``, one thread for the listener and one a connection."""

    def __init__(self, address: tuple[str, int], pages: dict[str, Page]) -> None:
        """Raises ``OSError`` where it cannot listen."""
        self._server = _Server(address, pages)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="http", daemon=True)

    def start(self) -> tuple[str, int]:
        """Answer from now on; where."""
        self._thread.start()
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def stop(self) -> None:
        """Listen no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(_SECONDS)
        self._server.server_close()


class _Server(HTTPServer):
    request_queue_size = 16

    def __init__(self, address: tuple[str, int], pages: dict[str, Page]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.pages = pages
        self._room = threading.Semaphore(_AT_ONCE)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Without asking the resolver for a name of the address, as the inherited one does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, if there is room; else it is closed."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            threading.Thread(target=self._process, args=(request, client_address), name="http-request", daemon=True).start()
        except RuntimeError:
            self._room.release()
            self.shutdown_request(request)

    def _process(self, request: socket.socket, client_address: Any) -> None:
        # one that drips its bytes is cut off, too
        watch = threading.Timer(_SECONDS, _cut, (request,))
        watch.daemon = True
        watch.start()
        try:
            self.finish_request(request, client_address)
        except OSError:
            _log.debug("a request for health or metrics was not answered to its end")
        finally:
            watch.cancel()
            self.shutdown_request(request)
            self._room.release()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "hirules"
    sys_version = ""
    timeout = _SECONDS

    def do_GET(self) -> None:
        """One of the pages."""
        page = self.server.pages.get(self.path.partition("?")[0])
        status, kind, body = page() if page is not None else (HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"not found\n")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a prober comes every few seconds."""


def _cut(request: socket.socket) -> None:
    try:
        request.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already


def text(status: HTTPStatus, said: str) -> tuple[HTTPStatus, str, bytes]:
    """A page of one line."""
    return status, "text/plain; charset=utf-8", f"{said}\n".encode()
