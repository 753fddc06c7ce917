"""Small data sets in MNIST's format, and a real mirror on the loopback that serves them."""

import gzip
import hashlib
import http.server
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from services.data.datasets import Places
from services.data.drawing import Drawing
from services.data.idx import FILE_NAMES
from services.data.published import Published

TRAIN_COUNT, TEST_COUNT = 600, 50


def idx_bytes(name: str, count: int, seed: int = 0) -> bytes:
    """Return an IDX file called `name` with `count` random examples."""
    rng = np.random.default_rng([seed, len(name)])
    if "-images-" in name:
        pixels = rng.integers(0, 256, (count, 784), dtype=np.uint8)
        return struct.pack(">IIII", 0x0803, count, 28, 28) + pixels.tobytes()
    return struct.pack(">II", 0x0801, count) + rng.integers(0, 10, count, dtype=np.uint8).tobytes()


def small_set(seed: int = 0) -> dict[str, bytes]:
    """Return the four unpacked files of a small data set, by name."""
    return {
        name: idx_bytes(name, TRAIN_COUNT if name.startswith("train") else TEST_COUNT, seed)
        for name in FILE_NAMES
    }


def put(folder: Path, files: dict[str, bytes], *, packed: bool = True) -> Path:
    """Write the files into the folder, packed with the ending .gz or as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))
        else:
            (folder / name).write_bytes(data)
    return folder


def sums(files: dict[str, bytes], *, packed: bool) -> dict[str, str]:
    """Return the SHA-256 of the files by name."""
    return {
        name: hashlib.sha256(gzip.compress(data, mtime=0) if packed else data).hexdigest()
        for name, data in files.items()
    }


class Mirror:
    """A web server with files; it counts requests and can be told to misbehave."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: Counter[str] = Counter()
        self.cut_off_at: int | None = None
        self.dribbles = False  # never gets to the end of an answer
        self.closed = threading.Event()
        self.go_on = threading.Event()  # cleared: the bodies of files wait for it
        self.go_on.set()
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                while mirror.dribbles and not mirror.closed.wait(0.1):
                    self.wfile.write(b"H")
                self.send_error(404)

            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                mirror.requests[name] += 1
                if name not in mirror.files:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(mirror.files[name])))
                self.end_headers()
                mirror.go_on.wait(60)
                self.wfile.write(mirror.files[name][: mirror.cut_off_at])

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}/data/"

    def serve(self, files: dict[str, bytes]) -> None:
        """Offer the files, packed."""
        self.files = {f"{n}.gz": gzip.compress(data, mtime=0) for n, data in files.items()}

    def close(self) -> None:
        """Stop serving."""
        self.go_on.set()
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class Scene:
    """A cache, small stand-ins for the published data sets, and what was said."""

    cache_dir: Path
    mnist: dict[str, bytes] = field(default_factory=lambda: small_set(1))
    fashion: dict[str, bytes] = field(default_factory=lambda: small_set(2))
    said: list[str] = field(default_factory=list)

    def places(self, data_dir: Path | None = None, mirrors: tuple[str, ...] = ()) -> Places:
        """Return places with these mirrors and no public ones."""
        published = {
            "mnist": Published("mnist", "MNIST", (), sums(self.mnist, packed=False), {}),
            "fashion-mnist": Published(
                "fashion-mnist", "Fashion-MNIST", (), {}, sums(self.fashion, packed=True)
            ),
        }
        drawing = Drawing(seed=5, train_count=700, test_count=40)
        return Places(data_dir, self.cache_dir, mirrors, published, drawing)

    @property
    def progress(self) -> Callable[[str], None]:
        """What to say progress to."""
        return self.said.append
