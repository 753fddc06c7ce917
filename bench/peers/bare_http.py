"""What uvicorn alone can do: reads each body and answers the same bytes, without any work.

`python -m bench.peers.bare_http PORT`, in our environment, with our server's settings; the bytes
come in on stdin.
"""

from __future__ import annotations

import sys

from starlette.types import Receive, Scope, Send

from ops.health import server_for
from ops.settings import Settings


class Bare:
    """An ASGI application that answers `body` to whatever is asked."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._headers = [
            (b"content-length", str(len(body)).encode()),
            (b"content-type", b"application/json"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body, then answer."""
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})


if __name__ == "__main__":
    server_for(Bare(sys.stdin.buffer.read()), Settings(port=int(sys.argv[1]))).run()
