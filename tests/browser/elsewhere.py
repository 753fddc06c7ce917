"""A site that is not ours, of one page, with none of our headers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def other_site(page: Callable[[str], str]) -> Iterator[str]:
    """Serve `page(query)`, an HTML text, at every path; give the address.

    Its name is another one than that of a stack's address: a browser takes it for another site.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page(self.path.partition("?")[2]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
