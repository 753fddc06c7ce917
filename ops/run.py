"""A service as a process: settings, logs, bus, and its work until SIGTERM or SIGINT."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from starlette.types import ASGIApp
from threadpoolctl import threadpool_limits

from ops.access import warn_if_exposed
from ops.health import serve, serve_health
from ops.logs import start_logs
from ops.settings import Settings, settings_or_exit
from wire.bus import Bus

App = TypeVar("App", bound=ASGIApp)


class Loop(Protocol):
    """Work that is not HTTP."""

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""

    def reasons(self) -> Sequence[str]:
        """Return why it cannot do its job; nothing if it can."""


def run_http(service: str, create_app: Callable[[Bus, Settings], App]) -> App:
    """Serve an ASGI application until the process is asked to end; return it then."""
    settings = _begin(service)
    warn_if_exposed(settings)
    bus = Bus(settings.redis_url)
    app = create_app(bus, settings)
    serve(app, settings)
    bus.close()
    return app


def run_loop(service: str, create_loop: Callable[[Bus, Settings], Loop]) -> None:
    """Run a loop until the process is asked to end, with its health served beside it."""
    settings = _begin(service)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    bus = Bus(settings.redis_url)
    loop = create_loop(bus, settings)
    health = serve_health(settings, loop.reasons, stop)
    loop.run(stop)
    health.join()
    bus.close()


def _begin(service: str) -> Settings:
    """Return the settings, with logs started and BLAS held to its threads.

    The number of threads changes the order of additions, hence the last bits: it is a setting,
    not whatever the machine has.
    """
    settings = settings_or_exit()
    start_logs(settings, service)
    threadpool_limits(settings.blas_threads, user_api="blas")
    return settings
