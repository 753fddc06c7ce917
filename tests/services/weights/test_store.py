"""The history: durable, bounded, shared by threads, and honest about a disk that is full."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from nn.model import Weights
from ops.problems import Problem
from services.weights import store as store_module
from services.weights.store import FILE_NAME, Store
from wire.messages import Origin, Snapshot, WeightsInfo

ROOT = Path(__file__).parents[3]
Make = Callable[..., Snapshot]
TINY = Weights((np.eye(2, dtype=np.float32),))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "deep" / "weights")
    yield store
    store.close()


def tiny(version: int, origin: Origin = "upload", iteration: int = 0) -> Snapshot:
    return Snapshot(TINY, WeightsInfo(version, iteration, origin, 0.5))


def versions(store: Store) -> list[int]:
    return [entry.version for entry in store.entries()]


def test_what_is_stored_comes_back_to_the_bit(
    store: Store, make_network: Callable[..., Weights], make_snapshot: Make
) -> None:
    weights = make_network(biases=True)
    assert store.add(make_snapshot(weights, 7, 42, "save"), name="é ☃", test_acc=0.5)
    found = store.load(7)
    assert found is not None
    entry, snapshot = found
    assert (entry.version, entry.iteration, entry.loss, entry.test_acc) == (7, 42, 0.25, 0.5)
    assert (entry.origin, entry.name) == ("save", "é ☃")
    assert entry.created.endswith("+00:00")
    assert snapshot.info == WeightsInfo(7, 42, "save", 0.25)
    for given, back in zip(weights.arrays, snapshot.weights.arrays, strict=True):
        assert given.tobytes() == back.tobytes()
    assert store.entries() == [entry]


def test_a_version_is_stored_once(store: Store) -> None:
    assert store.add(tiny(1, "upload"))
    assert not store.add(tiny(1, "checkpoint"))
    assert store.entries()[0].origin == "upload"


def test_what_is_not_there(store: Store) -> None:
    assert store.load(1) is None
    assert not store.remove(1)
    assert store.entries() == []
    assert store.highest() == 0


def test_the_highest_version_outlives_its_row_and_the_process(store: Store, tmp_path: Path) -> None:
    store.add(tiny(3))
    store.add(tiny(9))
    assert store.remove(9)
    store.close()
    again = Store(tmp_path / "deep" / "weights")
    assert again.highest() == 9
    assert versions(again) == [3]
    again.close()


def test_test_accuracies_are_noted(store: Store) -> None:
    for version in (1, 2, 3):
        store.add(tiny(version))
    store.note_test_accuracy(2, 0.75)
    store.note_test_accuracy(99, 0.1)
    assert [entry.test_acc for entry in store.entries()] == [None, 0.75, None]
    assert store.without_test_accuracy(10) == [3, 1]
    assert store.without_test_accuracy(1) == [3]


def test_the_newest_checkpoints_stay(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_CHECKPOINTS", 3)
    store.add(tiny(1, "tune"))
    for version in range(2, 9):
        store.add(tiny(version, "checkpoint"))
    assert versions(store) == [8, 7, 6, 1]


def test_a_full_history_forgets_what_can_be_had_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MAX_VERSIONS", 6)
    origins: list[Origin] = ["restore", "reset", "tune", "checkpoint", "checkpoint", "upload"]
    for version, origin in enumerate(origins, 1):
        store.add(tiny(version, origin))
    left = []
    for version in range(7, 12):
        store.add(tiny(version, "save"))
        left.append(versions(store))
    assert left == [
        [7, 6, 5, 3, 2, 1],  # the older checkpoint went first
        [8, 7, 6, 3, 2, 1],  # then the newer
        [9, 8, 7, 6, 2, 1],  # then the tune
        [10, 9, 8, 7, 6, 1],  # then the reset
        [11, 10, 9, 8, 7, 6],  # then the restore
    ]


@pytest.mark.parametrize("origin", ["upload", "save", "reset", "checkpoint"])
def test_a_history_full_of_kept_versions_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch, origin: Origin
) -> None:
    monkeypatch.setattr(store_module, "MAX_VERSIONS", 2)
    store.add(tiny(1))
    store.add(tiny(2))
    with pytest.raises(Problem, match="holds 2 uploaded, saved or named versions") as caught:
        store.add(tiny(3, origin))
    assert caught.value.status == 409
    assert "DELETE /weights/versions/{version}" in caught.value.detail
    assert versions(store) == [2, 1]


def test_a_version_is_named_renamed_and_loses_its_name(store: Store) -> None:
    store.add(tiny(1))
    store.add(tiny(2), name="two")
    for name in ("one", "é ☃", None):
        entry = store.rename(1, name)
        assert entry is not None
        assert (entry.version, entry.name) == (1, name)
        assert [entry.name for entry in store.entries()] == ["two", name]
    assert store.rename(3, "three") is None


def test_what_has_a_name_is_not_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_CHECKPOINTS", 2)
    for version in range(1, 6):
        store.add(tiny(version, "checkpoint"))
        if version == 2:
            store.rename(2, "the one")
    assert versions(store) == [5, 4, 2]
    store.rename(2, None)
    store.add(tiny(6, "checkpoint"))
    assert versions(store) == [6, 5]


def test_a_full_history_keeps_what_has_a_name_but_for_copies(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MAX_VERSIONS", 4)
    origins: list[Origin] = ["restore", "reset", "tune", "checkpoint"]
    for version, origin in enumerate(origins, 1):
        store.add(tiny(version, origin), name=f"my {origin}")
    store.add(tiny(5))
    assert versions(store) == [5, 4, 3, 2]  # the restore has the name of its original
    with pytest.raises(Problem, match="4 uploaded, saved or named versions"):
        store.add(tiny(6))


def test_threads_share_a_store(store: Store) -> None:
    def work(first: int) -> None:
        for version in range(first, first + 20):
            store.add(tiny(version))
            store.note_test_accuracy(version, 0.5)
            store.entries()

    threads = [threading.Thread(target=work, args=(1 + 20 * k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions(store) == list(range(120, 0, -1))
    assert store.without_test_accuracy(120) == []


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """No file of this process may grow beyond `limit` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_changes_nothing(
    store: Store, make_network: Callable[..., Weights], make_snapshot: Make
) -> None:
    weights = make_network()
    store.add(make_snapshot(weights, 1))
    with full_disk(600_000), pytest.raises(Problem) as caught:
        store.add(make_snapshot(weights, 2))
    assert caught.value.status == 507
    assert "nothing was changed. Free space on the disk" in caught.value.detail
    assert versions(store) == [1]
    assert store.add(make_snapshot(weights, 5))  # as soon as there is space again
    assert versions(store) == [5, 1]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "weights")
    with pytest.raises(Problem, match="make the folder writable") as caught:
        store.check()
    assert caught.value.status == 507
    (tmp_path / "file").unlink()
    store.check()  # the same store, as soon as it can
    store.close()


def test_a_read_only_file_changes_nothing(store: Store, tmp_path: Path) -> None:
    store.add(tiny(1))
    reader = Store(tmp_path / "deep" / "weights")
    reader.check()
    assert reader._connection is not None
    reader._connection.execute("PRAGMA query_only = ON")  # root may write whatever the mode says
    with pytest.raises(Problem, match="readonly") as caught:
        reader.add(tiny(2))
    assert caught.value.status == 507
    reader.close()
    assert versions(store) == [1]


def test_a_file_that_is_no_history(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"something else " * 1000)
    with pytest.raises(Problem, match="cannot be used: file is not a database") as caught:
        Store(tmp_path).check()
    assert caught.value.status == 503


def test_each_commit_reaches_the_disk(store: Store) -> None:
    store.check()
    assert store._connection is not None
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


WRITER = """
import sys
from pathlib import Path
import numpy as np
from nn.model import Weights
from services.weights.store import Store
from wire.messages import Snapshot, WeightsInfo
store = Store(Path(sys.argv[1]))
version = 0
while True:
    version += 1
    weights = Weights((np.full((784, 128), version, np.float32),))
    store.add(Snapshot(weights, WeightsInfo(version, 0, "upload")))
    print(version, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
    )  # fmt: skip
    assert writer.stdout is not None
    while int(writer.stdout.readline()) < 10:
        pass
    writer.send_signal(signal.SIGKILL)
    acknowledged = 10 + len(writer.stdout.read().split())
    writer.wait()
    writer.stdout.close()

    store = Store(tmp_path)
    kept = versions(store)
    assert kept in (
        list(range(acknowledged, 0, -1)),
        list(range(acknowledged + 1, 0, -1)),  # killed between the commit and the word of it
    )
    for version in (1, acknowledged):
        found = store.load(version)
        assert found is not None
        assert (found[1].weights.matrices[0] == version).all()
    assert store.add(tiny(acknowledged + 2))
    store.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()
