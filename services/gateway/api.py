"""The gateway's routes: /ws, GET /status, POST /control."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from prometheus_client import Counter
from starlette.concurrency import run_in_threadpool

from ops.access import HOW_TO_OPEN, may_change, subprotocol_for
from ops.errors import EXPECTED, as_problem, install_problems
from ops.health import health_routes
from ops.problems import Problem, read_body
from ops.settings import Settings
from services.gateway.control import Control, name_of, read_signal
from services.gateway.fanout import Fanout, Viewer
from services.gateway.run import Run
from services.gateway.weights import WeightsStream
from wire.bus import Bus
from wire.codec import encode
from wire.controls import (
    CONTROL_SIGNAL,
    MAX_SET_WEIGHTS_BYTES,
    MAX_SIGNAL_BYTES,
    GetStatus,
    Subscribe,
)
from wire.messages import ResponseSignal

SIGNALS = Counter("inkling_gateway_signals", "Control signals, by what came of them", ["outcome"])
READING = (GetStatus, Subscribe)  # the signals that change nothing
SHUTTING_DOWN = 1012  # the WebSocket's close code "service restart": come again
log = structlog.get_logger()


def _inlined(schema: Any, known: Mapping[str, Any]) -> Any:
    """Return a JSON schema in which each reference is replaced by the one of `known` that it names.

    In an OpenAPI document, "#/$defs/..." would lead nowhere.
    """
    if isinstance(schema, list):
        return [_inlined(item, known) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(known[schema["$ref"].rpartition("/")[2]], known)
    return {name: _inlined(value, known) for name, value in schema.items()}


_, _SCHEMAS = msgspec.json.schema_components([ResponseSignal])
_SIGNALS = CONTROL_SIGNAL.json_schema()
_CONTROL_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"oneOf": _inlined(_SIGNALS["oneOf"], _SIGNALS["$defs"])}}
    },
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The ResponseSignal, its history empty",
        "content": {"application/json": {"schema": _inlined(_SCHEMAS["ResponseSignal"], _SCHEMAS)}},
    }
}


class Gateway:
    """What one gateway process keeps: the run, its viewers, and the way to control it."""

    def __init__(self, bus: Bus) -> None:
        self.run = Run(bus)
        self.control = Control(bus, self.run)
        self._weights = WeightsStream(bus)
        self.fanout = Fanout(self.run, self._weights)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to follow the run; viewers are served in `loop`."""
        self.fanout.start(loop)
        self.run.start()

    async def stop(self) -> None:
        """End all threads, and serve nobody any more."""
        await run_in_threadpool(self.run.stop)
        await run_in_threadpool(self._weights.stop)
        self.fanout.stop()

    async def converse(self, socket: WebSocket) -> None:
        """Serve one viewer until either side ends the connection."""
        await socket.accept(subprotocol_for(socket.scope))
        viewer = Viewer(socket)
        tasks = [
            asyncio.create_task(self.fanout.serve(viewer)),
            asyncio.create_task(self._listen(viewer)),
        ]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            error = task.exception()
            if error is not None and not isinstance(error, WebSocketDisconnect | RuntimeError):
                log.error("a viewer was lost", error=repr(error))
        with suppress(RuntimeError, WebSocketDisconnect):  # it may be gone already
            await socket.close(SHUTTING_DOWN)

    async def _listen(self, viewer: Viewer) -> None:
        """Obey what the viewer sends; a signal that cannot be obeyed gets an Error."""
        while True:
            message = await viewer.socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data: str | bytes = message.get("text") or message.get("bytes") or b""
            answer = self._too_soon(viewer, data) or await self._answer(viewer, data)
            if answer is not None:
                async with viewer.sending:  # a status must not be older than a frame before it
                    await viewer.socket.send_text(answer().decode())

    def _too_soon(self, viewer: Viewer, data: str | bytes) -> Callable[[], bytes] | None:
        """Return what makes the Error for a signal that comes too soon after others."""
        why = viewer.may_signal()
        if why is None:
            return None
        SIGNALS.labels("too soon").inc()
        name = name_of(data) if len(data) <= MAX_SIGNAL_BYTES else None
        refusal = {"type": "Error", "signal": name, "detail": why}
        return lambda: msgspec.json.encode(refusal)

    async def _answer(self, viewer: Viewer, data: str | bytes) -> Callable[[], bytes] | None:
        """Obey a signal; return what makes the text to answer with, if there is to be any."""
        try:
            signal = await run_in_threadpool(read_signal, data)
            if not isinstance(signal, READING) and not may_change(viewer.socket.scope):
                raise Problem(401, f"{signal.type} needs a token: {HOW_TO_OPEN}.")
            if isinstance(signal, Subscribe):
                precision = None if signal.weights == "none" else signal.weights
                self.fanout.subscribe(viewer, precision, signal.weights_hz)
            else:
                await run_in_threadpool(self.control.obey, signal)
        except EXPECTED as error:
            SIGNALS.labels("refused").inc()
            name = await run_in_threadpool(name_of, data)
            refusal = {"type": "Error", "signal": name, "detail": as_problem(error).detail}
            return lambda: msgspec.json.encode(refusal)
        SIGNALS.labels("obeyed").inc()
        return (lambda: encode(self.run.status())) if isinstance(signal, GetStatus) else None


def create_app(bus: Bus, settings: Settings) -> FastAPI:
    """Return the gateway as an ASGI application."""
    gateway = Gateway(bus)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        gateway.start(asyncio.get_running_loop())
        yield
        await gateway.stop()

    app = FastAPI(title="Inkling gateway", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.reasons = gateway.run.reasons
    install_problems(app)
    app.router.routes.extend(health_routes(gateway.run.reasons))

    @app.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await gateway.converse(socket)

    @app.get("/status", summary="The state of the run", responses=_ANSWER)
    def status() -> Response:
        """Return the current ResponseSignal without weights and history."""
        return _signal_response(gateway.control.obey(GetStatus(type="GetStatus")))

    @app.post(
        "/control",
        summary="Send a control signal",
        responses=_ANSWER,
        openapi_extra={"requestBody": _CONTROL_BODY},
    )
    async def control(request: Request) -> Response:
        """Obey a control signal; return the ResponseSignal after it took effect."""
        signal = read_signal(await read_body(request, MAX_SET_WEIGHTS_BYTES))
        return _signal_response(await run_in_threadpool(gateway.control.obey, signal))

    return app


def _signal_response(signal: ResponseSignal) -> Response:
    return Response(encode(signal), media_type="application/json")
