"""The edge and the four HTTP services in one process: what Caddy and their containers are else.

It exits with status 2 if the data set cannot be had.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from ops.health import health_routes
from ops.problems import problem_response
from ops.run import run_http
from ops.settings import Settings
from services.local.docs import docs_page, service_apps
from wire.bus import Bus
from wire.connection import RedisAwayError

FRONTEND = Path(__file__).parents[2] / "frontend"
NOT_SERVED = ("package.json", "package-lock.json", "Caddyfile")


class Page(StaticFiles):
    """The page's files; browsers ask each time whether they changed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file at `path`, or a problem."""
        missing = problem_response(404, f"there is no /{path}: /docs lists what there is")
        if path.rpartition("/")[2] in NOT_SERVED or path.startswith((".n", "..")):
            return missing
        if scope["method"] not in ("GET", "HEAD"):
            detail = f"{scope['method']} is not allowed for {scope['path']}: see /docs"
            return problem_response(405, detail, {"Allow": "GET, HEAD"})
        try:
            response = await super().get_response(path, scope)
        except Exception as error:
            if getattr(error, "status_code", 500) != 404:
                raise
            return missing
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_web(bus: Bus, settings: Settings) -> Starlette:
    """Return everything on one port as an ASGI application."""
    apps = service_apps(bus, settings)
    by_segment: dict[str, ASGIApp] = {
        "infer": apps["inference"],
        "weights": apps["weights"],
        "data": apps["data"],
        "datablock": apps["data"],
        "evaluation": apps["data"],
        "ws": apps["gateway"],
        "status": apps["gateway"],
        "control": apps["gateway"],
    }
    docs = docs_page(apps)

    def reasons() -> list[str]:
        missing = [f"{name}: {why}" for name, app in apps.items() for why in app.state.reasons()]
        try:
            if not bus.training.is_led():
                missing.append("trainer: none is running yet")
        except RedisAwayError as error:
            missing.append(f"trainer: {error}")
        return missing

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for app in apps.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    async def show_docs(_: Request) -> Response:
        return HTMLResponse(docs)

    page = GZipMiddleware(Page(directory=FRONTEND, html=True))
    web = Starlette(
        routes=[
            *health_routes(reasons),
            Route("/docs", show_docs),
            Mount("/", app=_by_first_segment(by_segment, page)),
        ],
        lifespan=lifespan,
    )
    web.state.data = apps["data"].state.service
    return web


def _by_first_segment(apps: dict[str, ASGIApp], default: ASGIApp) -> ASGIApp:
    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        app = apps.get(scope["path"].split("/")[1], default)
        await app(scope, receive, send)

    return route


if __name__ == "__main__":
    sys.exit(2 if run_http("web", create_web).state.data.failure else 0)
