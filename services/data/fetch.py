"""Fetch files from mirrors over HTTP, never trusting how long they take or how much they send."""

import hashlib
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

# All mirrors together get this long to show that they are there, so that a place without
# network, where even looking up a name can hang, is told at once.
ANSWER_DEADLINE_S = 3.0
READ_TIMEOUT_S = 30.0
MAX_DOWNLOAD_BYTES = 64 << 20
PIECE_BYTES = 1 << 16
PROGRESS_STEPS = 10
# Those of a broken network, among the OSErrors, and not those of a full disk.
NETWORK_ERRORS = (
    urllib.error.URLError,
    HTTPException,
    TimeoutError,
    ConnectionError,
    ssl.SSLError,
)

Progress = Callable[[str], None]


class DownloadError(Exception):
    """A mirror did not give what it should; the message says which, and what it did."""


def answering(mirrors: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the mirrors that answer, in their order, and for each other what is the matter."""
    outcomes: dict[str, str] = {}

    def ask(mirror: str) -> None:
        outcomes[mirror] = _ask(mirror)

    # Daemon threads: a name look-up that hangs cannot be interrupted, only left behind.
    threads = [threading.Thread(target=ask, args=(mirror,), daemon=True) for mirror in mirrors]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + ANSWER_DEADLINE_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    silent = f"no answer within {ANSWER_DEADLINE_S:.0f} s"
    faults = {mirror: outcomes.get(mirror, silent) for mirror in mirrors}
    return (
        [mirror for mirror in mirrors if not faults[mirror]],
        [f"{host(mirror)}: {fault}" for mirror, fault in faults.items() if fault],
    )


def fetch(url: str, target: Path, progress: Progress) -> str:
    """Download `url` to the new file `target` and return its SHA-256.

    Raises DownloadError if the mirror breaks off, stalls, refuses or sends too much.
    """
    name = f"{target.name} from {host(url)}"
    digest = hashlib.sha256()
    try:
        with _open(url, "GET", READ_TIMEOUT_S) as response, target.open("xb") as sink:
            size = response.length or 0  # what the mirror announces, if anything
            received, told = 0, -1
            while piece := response.read(PIECE_BYTES):
                received += len(piece)
                if received > MAX_DOWNLOAD_BYTES:
                    raise DownloadError(f"{name}: over {MAX_DOWNLOAD_BYTES >> 20} MiB")
                digest.update(piece)
                sink.write(piece)
                if size and received * PROGRESS_STEPS // size > told:
                    told = received * PROGRESS_STEPS // size
                    progress(f"Downloading {name}: {100 * received // size} %")
    except NETWORK_ERRORS as error:
        raise DownloadError(f"{name}: {_said(error)}") from error
    if received < size:
        raise DownloadError(f"{name}: broke off after {received} of {size} bytes")
    return digest.hexdigest()


def host(url: str) -> str:
    """Return what people call the mirror."""
    return urlsplit(url).netloc or url


def _ask(mirror: str) -> str:
    """Return "" if a mirror answers anything at all, else what is the matter with it."""
    try:
        _open(mirror, "HEAD", ANSWER_DEADLINE_S).close()
    except urllib.error.HTTPError:
        return ""  # it may list no folder, and yet have the files
    except (OSError, HTTPException) as error:
        return _said(error)
    except ValueError as error:
        return str(error)
    return ""


def _open(url: str, method: str, timeout_s: float) -> HTTPResponse:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url!r} is not an http:// or https:// address")
    request = urllib.request.Request(url, method=method)
    response: HTTPResponse = urllib.request.urlopen(request, timeout=timeout_s)
    return response


def _said(error: Exception) -> str:
    """Return the words of a network error, without the wrapping around them."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    return str(reason.strerror if isinstance(reason, OSError) and reason.strerror else reason)
