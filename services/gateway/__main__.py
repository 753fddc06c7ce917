"""The gateway as a process: settings, bus, run."""

from __future__ import annotations

from ops.health import serve
from ops.logs import start_logs
from ops.settings import settings_or_exit
from services.gateway.api import create_app
from wire.bus import Bus


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = settings_or_exit()
    start_logs(settings, "gateway")
    bus = Bus(settings.redis_url)
    serve(create_app(bus, settings), settings)
    bus.close()


if __name__ == "__main__":
    main()
