"""What people would use instead, each in a process of its own."""

from __future__ import annotations

from pathlib import Path

PEERS = Path(__file__).parent
PYTHON = PEERS.parent / ".venv" / "bin" / "python"


def peer_python() -> str:
    """Return the Python of the peers' environment; raise RuntimeError if it was not made yet."""
    if not PYTHON.exists():
        raise RuntimeError("the peers are not installed: make bench-peers")
    return str(PYTHON)
