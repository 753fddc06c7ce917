"""The data API as a process: settings, bus, run."""

from __future__ import annotations

import sys

from ops.blas import limit_blas
from ops.health import serve
from ops.logs import start_logs
from ops.settings import settings_or_exit
from services.data.api import create_app
from wire.bus import Bus


def main() -> None:
    """Serve until SIGTERM or SIGINT; exit with status 2 if the data set cannot be had."""
    settings = settings_or_exit()
    start_logs(settings, "data")
    limit_blas(settings)
    bus = Bus(settings.redis_url)
    app = create_app(bus, settings)
    serve(app, settings)
    bus.close()
    if app.state.service.failure:
        sys.exit(2)


if __name__ == "__main__":
    main()
