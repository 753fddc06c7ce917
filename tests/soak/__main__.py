"""Load the stack for so many minutes, and see that no process grows: `make test-soak MINUTES=30`.

Viewers stay, and come and go; others draw, upload, tune, save, restore, and change settings, while
it trains. Every 5 s the memory (bench.processes) and the open files of each process are read. After
a fifth of the time, in which what is allocated once is allocated, a line is laid through each. The
exit status is 1 where one of them clearly rises, or where an answer was not what it has to be.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from PIL import Image
from websockets.sync.client import connect

from bench.processes import Size, Sizes, sizes
from bench.rows.memory import draw, watch
from nn.model import INPUTS
from tests.running import Stack, running_stack, wait_until
from tests.soak.growth import Slope, slope

SAMPLE_S = 5.0
WARM_UP_SHARE = 0.2
MOST_KB_PER_MINUTE = 100.0
MOST_FILES_PER_MINUTE = 0.2
WATCHERS = 5
Visit = Callable[[Stack, threading.Event], None]


# --- visitors ----------------------------------------------------------------------------------
def come_and_go(stack: Stack, done: threading.Event) -> None:
    """Open the page's connection again and again, read a little, and leave."""
    for turn in itertools.count():
        with connect(f"ws://127.0.0.1:{stack.port}/ws", max_size=None) as viewer:
            viewer.send(json.dumps({"type": "Subscribe", "weights": "f32", "weights_hz": 20}))
            viewer.send("no signal")
            for _ in range(turn % 5):
                viewer.recv(10)
        if done.wait(0.2):
            return


def ask(stack: Stack, done: threading.Event) -> None:
    """Ask for guesses in every form, for data, evaluations and weights."""
    file = io.BytesIO()
    Image.new("L", (280, 280), 255).save(file, "PNG")
    binary = {"Content-Type": "application/octet-stream"}
    with httpx.Client(base_url=stack.url, timeout=30) as client:
        while not done.wait(0.2):
            expect(client.post("/infer", content=file.getvalue(),
                               headers={"Content-Type": "image/png"}))  # fmt: skip
            expect(client.post("/infer", content=bytes(500 * INPUTS), headers=binary))
            expect(client.post("/infer", json={"image": [2] * INPUTS}), 422)
            expect(client.post("/datablock", json={"block": 50}))
            expect(client.get("/evaluation"))
            for kind in ("json", "safetensors", "npz", "onnx"):
                expect(client.get(f"/weights?format={kind}"))


def change(stack: Stack, done: threading.Event) -> None:
    """Upload, tune, save, restore, forget; change settings, and start again."""
    with httpx.Client(base_url=stack.url, timeout=30) as client:
        for turn in itertools.count():
            weights = expect(client.get("/weights?format=safetensors")).content
            made = [expect(client.post("/weights", content=weights))]
            made.append(expect(client.post("/weights/versions", json={"name": f"soak {turn}"})))
            sample = {"target": turn % 10, "image": [0.5] * INPUTS}
            made.append(expect(client.patch("/weights", json={"data": [sample]})))
            expect(client.get(f"/weights/versions/{made[0].json()['version']}?format=npz"))
            made.append(
                expect(client.post(f"/weights/versions/{made[1].json()['version']}/restore"))
            )
            for answer in made:  # uploads and saves are kept for good: the history would get full
                client.delete(f"/weights/versions/{answer.json()['version']}")
            stack_control(client, type="SetBatchSize", value=(64, 128, 256)[turn % 3])
            stack_control(client, type="SetCacheSize", value=(16, 4, 32)[turn % 3])
            if turn % 20 == 19:
                expect(client.delete("/weights"))
            stack_control(client, type="Start")
            if done.wait(2.0):
                return


def stack_control(client: httpx.Client, **signal: object) -> None:
    expect(client.post("/control", json=signal))


def expect(answer: httpx.Response, status: int = 200) -> httpx.Response:
    """Return `answer`; raise RuntimeError if its status is another one."""
    if answer.status_code != status:
        raise RuntimeError(
            f"{answer.request.url} answered {answer.status_code}: {answer.text:.300}"
        )
    return answer


VISITS: tuple[Visit, ...] = (*[watch] * WATCHERS, draw, come_and_go, come_and_go, ask, change)


@dataclass
class Visitors:
    """All who load the stack, each in a thread; what went wrong is kept."""

    stack: Stack
    troubles: list[str] = field(default_factory=list)

    def __enter__(self) -> Visitors:
        """Begin."""
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(visit,)) for visit in VISITS]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let all of them end."""
        self._done.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, visit: Visit) -> None:
        try:
            visit(self.stack, self._done)
        except Exception as error:  # noqa: BLE001 (whatever it is, it fails the soak)
            if not self._done.is_set():
                self.troubles.append(f"{visit.__name__}: {error!r}")


# --- the soak ----------------------------------------------------------------------------------
def sampled(stack: Stack, visitors: Visitors, minutes: float) -> list[tuple[float, Sizes]]:
    """Return the sizes by the minute at which they were read, of the time after the warm-up."""
    began = time.monotonic()
    samples = []
    while (minute := (time.monotonic() - began) / 60) < minutes and not visitors.troubles:
        if minute >= WARM_UP_SHARE * minutes:
            samples.append((minute, sizes(stack)))
        time.sleep(SAMPLE_S)
    return samples


def judge(samples: list[tuple[float, Sizes]]) -> list[str]:
    """Print the slopes of each process; return those that clearly rise."""
    minutes = [minute for minute, _ in samples]
    risen = []
    print(f"{'process':<14}{'PSS MB':>16}{'PSS kB/min':>18}{'RSS kB/min':>18}{'files':>7}"
          f"{'files/min':>16}")  # fmt: skip
    for process in samples[0][1]:
        read = [one[process] for _, one in samples]
        pss = slope(minutes, [1000 * size.pss for size in read])
        rss = slope(minutes, [1000 * size.rss for size in read])
        files = slope(minutes, [size.files for size in read])
        print(row(process, read, pss, rss, files))
        # Not the PSS: a share changes with whoever else on the machine begins and ends.
        if rss.exceeds(MOST_KB_PER_MINUTE) or files.exceeds(MOST_FILES_PER_MINUTE):
            risen.append(process)
    return risen


def row(process: str, read: list[Size], pss: Slope, rss: Slope, files: Slope) -> str:
    """Return a line of the table; each slope with its standard error."""
    return (
        f"{process:<14}{f'{read[0].pss:.1f} to {read[-1].pss:.1f}':>16}"
        f"{f'{pss.per_minute:+.1f} ± {pss.error:.1f}':>18}"
        f"{f'{rss.per_minute:+.1f} ± {rss.error:.1f}':>18}"
        f"{read[-1].files:>7}{f'{files.per_minute:+.2f} ± {files.error:.2f}':>16}"
    )


def main() -> None:
    """Soak, print, and exit with 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    minutes = parser.parse_args().minutes
    with running_stack() as stack:
        stack.control(type="Start")
        wait_until(lambda: stack.client.get("/evaluation").status_code == 200, what="a report")
        with Visitors(stack) as visitors:
            samples = sampled(stack, visitors, minutes)
    if visitors.troubles:
        sys.exit("\n".join(visitors.troubles))
    if risen := judge(samples):
        sys.exit(f"grows: {', '.join(risen)}")
    print(f"nothing grows: {len(samples)} samples in {minutes:g} minutes")


if __name__ == "__main__":
    main()
