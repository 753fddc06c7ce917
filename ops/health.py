"""/healthz (alive), /readyz (able to do its job) and /metrics, the same for every process."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Sequence

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ops.access import guarded
from ops.headers import HEADERS
from ops.http import KEEP_ALIVE_S, JoinedProtocol
from ops.limits import Limited
from ops.requests import Requests
from ops.settings import Settings
from ops.websocket import PING_S, PONG_S, FrameProtocol
from wire.controls import MAX_SET_WEIGHTS_BYTES

Reasons = Callable[[], Sequence[str]]
# A signal over its limit gets an Error; one over this ends the connection (close code 1009).
MAX_MESSAGE_BYTES = 2 * MAX_SET_WEIGHTS_BYTES
READY = Gauge("inkling_ready", "Whether the process can do its job, as /readyz says")
log = structlog.get_logger()


def health_routes(reasons: Reasons) -> list[Route]:
    """Return the three routes.

    `reasons()` says why the process cannot do its job; when it returns nothing, it can.
    """

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def readyz(_: Request) -> Response:
        missing = list(await run_in_threadpool(reasons))
        return JSONResponse({"ready": not missing, "reasons": missing}, 503 if missing else 200)

    async def metrics(_: Request) -> Response:
        READY.set(not await run_in_threadpool(reasons))
        # Here, in the event loop, which is where some of what is measured lives.
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]


def server_for(app: ASGIApp, settings: Settings) -> uvicorn.Server:
    """Return the HTTP server that all services use; its `run()` serves until SIGTERM or SIGINT."""
    return uvicorn.Server(
        uvicorn.Config(
            Requests(guarded(Limited(app, settings), settings)),
            interface="asgi3",
            headers=list(HEADERS.items()),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            # Nothing here asks who the client is or how it reached a proxy, and looking at its
            # address for each request takes a tenth of an answer's time.
            proxy_headers=False,
            timeout_graceful_shutdown=4,
            timeout_keep_alive=KEEP_ALIVE_S,
            http=JoinedProtocol,
            ws=FrameProtocol,
            ws_max_size=MAX_MESSAGE_BYTES,
            ws_ping_interval=PING_S,
            ws_ping_timeout=PONG_S,
            # It would compress each frame anew for each viewer, at several times the cost of all
            # else that a viewer takes.
            ws_per_message_deflate=False,
        )
    )


def serve(app: ASGIApp, settings: Settings) -> None:
    """Serve `app` until SIGTERM or SIGINT, finish what is under way, and return.

    uvicorn raises the signal again when it is done, which would end the process with an error:
    it finds handlers here that let it be.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server_for(app, settings).run()


def serve_health(settings: Settings, reasons: Reasons, stop: threading.Event) -> threading.Thread:
    """Serve the three routes from a thread, for a process whose work is not HTTP.

    Ends soon after `stop` is set.
    """
    server = server_for(Starlette(routes=health_routes(reasons)), settings)

    async def serve() -> None:
        config = server.config
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        ports = [s.getsockname()[1] for one in server.servers for s in one.sockets]
        log.info("health is served", port=ports[0] if ports else None)
        await asyncio.to_thread(stop.wait)
        await server.shutdown()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="health", daemon=True)
    thread.start()
    return thread
