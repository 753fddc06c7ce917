"""The trainer as a process: settings, bus, run."""

from __future__ import annotations

import signal
import threading

from ops.blas import limit_blas
from ops.health import serve_health
from ops.logs import start_logs
from ops.settings import settings_or_exit
from services.trainer.loop import Trainer
from wire.bus import Bus


def main() -> None:
    """Train until SIGTERM or SIGINT."""
    settings = settings_or_exit()
    start_logs(settings, "trainer")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    limit_blas(settings)
    bus = Bus(settings.redis_url)
    trainer = Trainer(bus, settings)
    health = serve_health(settings, trainer.reasons, stop)
    trainer.run(stop)
    health.join()
    bus.close()


if __name__ == "__main__":
    main()
