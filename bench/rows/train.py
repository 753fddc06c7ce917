"""Iterations a second: through Redis, in a bare loop, in PyTorch, in TensorFlow.js.

Ours is the stack of `make run` on MNIST with one data worker, batches of 128, a cache of 16, one
viewer connected who checks that the loss and accuracy of each iteration come once. The bare loop
takes the same step over arrays in memory: gathered at random from the whole training set,
normalised, all 784 pixels of each image; in `train-limit` it leaves out what is blank in the whole
batch, as the pipeline does. PyTorch's data set converts one image at a time, as its documentation
shows; its DataLoader has 0, 1 or 2 workers, whichever is fastest here. All have the same network
(784-128-10, ReLU, no biases) and one BLAS thread, two in `train-2`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.measure import Figures, Goal, Group, Row, Side
from bench.peers import tfjs_training, torch_training
from bench.training import Viewer, bare_rate, stack_rate
from services.data.idx import open_split
from tests.running import Stack, running_stack

SECONDS = 4.0
BATCH_SIZE = 128
VARIANTS = {"train": (128, 1), "train-2": (128, 2), "train-wide": (800, 1)}  # units, BLAS threads


def idx_folder() -> Path:
    """Return the folder of MNIST's files; raise RuntimeError if none is named."""
    folder = os.environ.get("INKLING_DATA_DIR")
    if not folder:
        raise RuntimeError("name the folder with MNIST's four files in INKLING_DATA_DIR")
    return Path(folder).resolve()


@contextmanager
def _sides() -> Iterator[tuple[Side, Side]]:
    folder = idx_folder()
    with ExitStack() as opened:
        datasets = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        torch = opened.enter_context(torch_training(folder))
        tfjs = opened.enter_context(tfjs_training(folder))
        stacks = {
            name: opened.enter_context(
                running_stack(
                    datasets, INKLING_DATASET="mnist",
                    INKLING_HIDDEN_UNITS=str(units), INKLING_BLAS_THREADS=str(threads),
                )
            )
            for name, (units, threads) in VARIANTS.items()
        }  # fmt: skip
        split = open_split(datasets / "mnist", "train")
        torch.ask(do="train", seconds=0.1)  # tries the numbers of workers, once

        def ours() -> Figures:
            rates = {name: _rate(stack) for name, stack in stacks.items()}
            return rates | dict.fromkeys(
                ["train-limit", "train-torch", "train-tfjs"], rates["train"]
            )

        def peers() -> Figures:
            rates = {
                name: bare_rate(split, units, BATCH_SIZE, SECONDS, threads=threads)
                for name, (units, threads) in VARIANTS.items()
            }
            rates["train-limit"] = bare_rate(
                split, VARIANTS["train"][0], BATCH_SIZE, SECONDS, leaves_out_blank=True
            )
            answers = {"train-torch": torch, "train-tfjs": tfjs}
            return rates | {
                name: peer.ask(do="train", seconds=SECONDS)["iterations_per_s"]
                for name, peer in answers.items()
            }

        yield ours, peers


def _rate(stack: Stack) -> float:
    with Viewer(stack) as viewer:
        return stack_rate(stack, viewer, SECONDS)


BARE, TORCH = "bare loop over arrays", "PyTorch with DataLoader"
GROUP = Group(
    "train",
    (
        Row("train", "iterations/s", BARE, Goal(ratio_least=0.95)),
        Row("train-limit", "iterations/s", f"{BARE}, without blank pixels", Goal(ratio_least=0.95)),
        Row("train-2", "iterations/s", f"{BARE}, two BLAS threads", Goal(ratio_least=0.85)),
        Row("train-torch", "iterations/s", TORCH, Goal(ratio_least=4)),
        Row("train-tfjs", "iterations/s", "TensorFlow.js, wasm", Goal(ratio_least=20)),
        Row("train-wide", "iterations/s", f"{BARE}, 800 hidden units", Goal(ratio_least=0.95)),
    ),
    _sides,
)
