"""What people would use instead, each in a process of its own."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

PEERS = Path(__file__).parent
ROOT = PEERS.parents[1]
PYTHON = PEERS.parent / ".venv" / "bin" / "python"
TFJS = PEERS / "node_modules" / "@tensorflow" / "tfjs-backend-wasm" / "package.json"
READY_S = 60.0
ANSWER_S = 300.0  # the longest command trains until an accuracy is reached
END_S = 10.0
NOT_INSTALLED = "the peers are not installed: make bench-peers"


def peer_python() -> str:
    """Return the Python of the peers' environment; raise RuntimeError if it was not made yet."""
    if not PYTHON.exists():
        raise RuntimeError(NOT_INSTALLED)
    return str(PYTHON)


class PeerError(Exception):
    """A peer did not answer, or answered that it could not; the message says which and why."""


class Peer:
    """A process that answers each line on its standard input, a JSON object, with one.

    It is started and ended by `with`, says {"ready": true, ...} first, and rests between two
    commands, so that ours can be measured in between.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self._command = list(command)
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._selector: selectors.BaseSelector
        self._complaints: IO[bytes]  # its standard error

    def __enter__(self) -> Peer:
        """Start it, and wait until it is ready."""
        self._complaints = tempfile.TemporaryFile()  # closed when it ends
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,
        )
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipes()[1], selectors.EVENT_READ)
        try:
            self._answer(READY_S)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._end()

    def ask(self, timeout_s: float = ANSWER_S, **command: Any) -> dict[str, Any]:
        """Return its answer to `command`; raise PeerError if there is none, or an error."""
        stdin, _ = self._pipes()
        try:
            stdin.write(json.dumps(command).encode() + b"\n")
        except BrokenPipeError as error:
            raise PeerError(self._trouble("has ended")) from error
        return self._answer(timeout_s)

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        _, stdout = self._pipes()
        if not self._selector.select(timeout_s):
            raise PeerError(self._trouble(f"did not answer within {timeout_s:g} s"))
        line = stdout.readline()  # written at once, so it is all there
        if not line:
            raise PeerError(self._trouble("has ended"))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(self._trouble(f"says: {answer['error']}"))
        return answer

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        """Return its standard input and output."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise PeerError(
                f"{' '.join(self._command)} was not started: use it in a with statement"
            )
        return process.stdin, process.stdout

    def _trouble(self, what: str) -> str:
        """Return which peer did what, with the last it wrote to its standard error."""
        self._complaints.seek(0)
        last = self._complaints.read().decode(errors="replace").strip()[-600:]
        return f"{' '.join(self._command)} {what}" + (f"\n{last}" if last else "")

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        stdin, stdout = self._pipes()
        stdin.close()  # that ends it
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._selector.close()
        stdout.close()
        self._complaints.close()
        self._process = None


def torch_training(folder: Path) -> Peer:
    """Return PyTorch's training on the IDX files in `folder`: see bench/peers/torch_train.py."""
    return Peer([peer_python(), "-m", "bench.peers.torch_train", str(folder)])


def tfjs_training(folder: Path) -> Peer:
    """Return TensorFlow.js's training on those files: see bench/peers/tfjs_train.mjs."""
    if not TFJS.exists():
        raise RuntimeError(NOT_INSTALLED)
    path = os.pathsep.join([os.environ.get("PATH", ""), str(ROOT / ".venv" / "bin")])
    node = shutil.which("node", path=path)  # where the machine has none, .venv does
    if node is None:
        raise RuntimeError("there is no Node.js to run TensorFlow.js: make bench-peers")
    return Peer([node, str(PEERS / "tfjs_train.mjs"), str(folder)])
