"""The bus: one run's Redis, as the services use it."""

from __future__ import annotations

from typing import Any

from wire.calls import Calls
from wire.connection import connect, ping, reaches_redis
from wire.flow import DataFlow
from wire.keys import DEFAULT_RUN, Keys
from wire.live import LiveWeights
from wire.training import Training
from wire.wanted import Wanted


class Bus:
    """Everything that one process says and hears about a run.

    flow      tickets, batches, data workers, the data set
    wanted    the settings that the run shall have
    training  the lease, the frames, the curve, the checkpoint
    live      the live weights and their test accuracy
    calls     requests from one service to another

    Each method may raise connection.RedisAwayError; reading methods raise codec.MalformedError for
    what should not be there. Threads may share a bus.
    """

    def __init__(self, url: str, run: str = DEFAULT_RUN) -> None:
        keys = Keys(run)
        client = connect(url)
        self._client: Any = client
        self._keys = keys
        self.flow = DataFlow(client, keys)
        self.wanted = Wanted(client, keys)
        self.training = Training(client, keys)
        self.live = LiveWeights(client, keys)
        self.calls = Calls(client, keys)

    @reaches_redis
    def ping(self) -> None:
        """Return if Redis answers."""
        ping(self._client)

    @reaches_redis
    def check_writes(self) -> None:
        """Return if Redis takes writes; raise RedisFullError if it takes none."""
        self._client.set(self._keys.probe, "", xx=True)

    def close(self) -> None:
        """Close all connections."""
        self.flow.intake.close()
        self._client.close()
