"""Between a client and Redis: cuts a connection before the answer, or holds up what is asked."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CHUNK_BYTES = 65_536
LOOK_S = 0.01
HOLD_S = 30.0


class Proxy:
    """Passes everything on, both ways, until it is told what to cut or to hold up."""

    def __init__(self, redis_port: int) -> None:
        self._redis_port = redis_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._word, self._obeyed = b"", lambda: True
        self._held_word, self._go_on = b"", threading.Event()
        self.cuts = 0
        self.holds = threading.Event()
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, word: bytes, obeyed: Callable[[], bool]) -> None:
        """Break the next connection that says `word`, as soon as `obeyed()`: its answer is lost."""
        self._obeyed, self._word = obeyed, word

    def hold(self, word: bytes) -> None:
        """Hold up what next says `word`, until `go_on()`; `holds` is set as soon as it does."""
        self._held_word = word

    def go_on(self) -> None:
        """Pass on what is held up."""
        self._go_on.set()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._redis_port)) as server:
            cutting = False
            while not (cutting and self._obeyed()):
                for sender in select.select([client, server], [], [], LOOK_S)[0]:
                    data = sender.recv(CHUNK_BYTES)
                    if not data:
                        return
                    if sender is client:
                        if self._held_word and self._held_word in data:
                            self._held_word = b""
                            self.holds.set()
                            self._go_on.wait(HOLD_S)
                        server.sendall(data)
                        if self._word and self._word in data:
                            cutting, self._word = True, b""
                    elif not cutting:
                        client.sendall(data)
            self.cuts += 1


@contextmanager
def proxy_of(redis_port: int) -> Iterator[Proxy]:
    """Give a proxy before the Redis at this port."""
    proxy = Proxy(redis_port)
    try:
        yield proxy
    finally:
        proxy.close()
