"""Training as people write it in PyTorch: a Dataset, a DataLoader that shuffles, SGD.

    bench/.venv/bin/python -m bench.peers.torch_train FOLDER

FOLDER holds MNIST's IDX files, packed or not. Loads them, says {"ready": true}, and then answers
each line of its standard input, a JSON object, with one:

    {"do": "train", "seconds": 4, ...}      goes on training; {"iterations_per_s", "workers", ...}
    {"do": "until", "accuracy": 0.975, ...} trains a new network; {"seconds", "iterations", ...}

Both take `hidden_units` (128), `batch_size` (128), `threads` (1) and `workers` of the DataLoader
(null: the fastest of 0, 1 and 2, tried once), and where pixels become float32: in the Dataset, for
each item, as most tutorials have it (`convert` "item"), or for the batch (`convert` "batch"), which
is faster. Between two commands it does nothing.

The network is 784-128-10 with ReLU, without biases, initialised as nn.Linear does it. Loss and
accuracy of every iteration are taken down, as Inkling does.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

INPUTS, CLASSES = 784, 10
LEARNING_RATE = 0.1
WORKERS = (0, 1, 2)
TRY_S = 2.0  # how long each number of workers is tried
WARM_UP = 30  # iterations before the clock starts: threads, memory and workers are there then
EVALUATIONS = 4  # of the test set in an epoch
MOST_EPOCHS = 60


class Digits(Dataset):  # type: ignore[misc]  # PyTorch is not among what is type checked
    """Images (784,) with their labels: float32, 0 to 1, or `raw`, uint8 as they lie in memory."""

    def __init__(self, folder: Path, split: str, *, raw: bool = False) -> None:
        self._raw = raw
        images = _idx(folder / f"{split}-images-idx3-ubyte", header_bytes=16)
        labels = _idx(folder / f"{split}-labels-idx1-ubyte", header_bytes=8)
        self.images = torch.from_numpy(images.reshape(-1, INPUTS))
        self.labels = torch.from_numpy(labels.astype(np.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = self.images[index]
        return image if self._raw else image.float() / 255, self.labels[index]


def _idx(path: Path, header_bytes: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the values in an IDX file."""
    content = path.read_bytes() if path.exists() else _unpacked(path)
    return np.frombuffer(content, np.uint8, offset=header_bytes).copy()


def _unpacked(path: Path) -> bytes:
    with gzip.open(f"{path}.gz") as file:
        return file.read()


@dataclass(frozen=True)
class Options:
    """What is trained, and with how much."""

    hidden_units: int = 128
    batch_size: int = 128
    threads: int = 1
    workers: int | None = None
    convert: str = "item"  # or "batch"


class Training:
    """A network and its data, which go on from where the last command left them."""

    def __init__(self, data: Digits, options: Options, workers: int) -> None:
        self.losses: list[float] = []
        self.accuracies: list[float] = []
        self.network = nn.Sequential(
            nn.Linear(INPUTS, options.hidden_units, bias=False),
            nn.ReLU(),
            nn.Linear(options.hidden_units, CLASSES, bias=False),
        )
        self._optimizer = torch.optim.SGD(self.network.parameters(), lr=LEARNING_RATE)
        loader = DataLoader(
            data,
            batch_size=options.batch_size,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        self._batches = _endless(loader)
        self.epoch_iterations = len(loader)

    def step(self) -> None:
        """Train one iteration."""
        images, labels = next(self._batches)
        if images.dtype == torch.uint8:
            images = images.float() / 255
        logits = self.network(images)  # (B, 10)
        loss = functional.cross_entropy(logits, labels)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self.losses.append(loss.item())
        self.accuracies.append((logits.argmax(dim=1) == labels).float().mean().item())

    def rate(self, seconds: float) -> float:
        """Train for so long; return iterations a second."""
        for _ in range(WARM_UP):
            self.step()
        iterations = 0
        began = time.perf_counter()
        while (took := time.perf_counter() - began) < seconds:
            self.step()
            iterations += 1
        return iterations / took


def _endless(loader: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from loader


class Peer:
    """Answers commands."""

    def __init__(self, folder: Path) -> None:
        self._data = {
            "item": Digits(folder, "train"),
            "batch": Digits(folder, "train", raw=True),
        }
        test = Digits(folder, "t10k")
        self._test_images, self._test_labels = test.images.float() / 255, test.labels
        self._trainings: dict[Options, tuple[Training, int]] = {}

    def answer(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Do what one command says."""
        if do == "train":
            return self._train(**arguments)
        if do == "until":
            return self._until(**arguments)
        raise ValueError(f"there is no command {do!r}; there are 'train' and 'until'")

    def _train(self, seconds: float, **options: Any) -> dict[str, Any]:
        training, workers = self._training(Options(**options))
        done = len(training.losses)
        rate = training.rate(seconds)
        return {
            "iterations_per_s": rate,
            "workers": workers,
            "loss": float(np.mean(training.losses[done:])),
            "accuracy": float(np.mean(training.accuracies[done:])),
        }

    def _training(self, options: Options) -> tuple[Training, int]:
        """Return the training of these options, and how many workers serve it."""
        torch.set_num_threads(options.threads)
        if options not in self._trainings:
            counts = WORKERS if options.workers is None else (options.workers,)
            data = self._data[options.convert]
            trainings = {count: Training(data, options, count) for count in counts}
            rates = {count: one.rate(TRY_S) for count, one in trainings.items()}
            best = max(rates, key=rates.__getitem__)
            self._trainings[options] = (trainings[best], best)
        return self._trainings[options]

    def _until(self, accuracy: float, **arguments: Any) -> dict[str, Any]:
        """Train a new network until its accuracy on the test set, looked at each quarter epoch."""
        options = Options(**arguments)
        _, workers = self._training(options)
        training = Training(self._data[options.convert], options, workers)
        between = -(-training.epoch_iterations // EVALUATIONS)
        began = time.perf_counter()
        for iteration in range(1, MOST_EPOCHS * training.epoch_iterations + 1):
            training.step()
            if iteration % between == 0 and (reached := self._test(training.network)) >= accuracy:
                seconds = time.perf_counter() - began
                return {"seconds": seconds, "iterations": iteration, "accuracy": reached}
        raise RuntimeError(f"{accuracy} was not reached in {MOST_EPOCHS} epochs")

    def _test(self, network: nn.Module) -> float:
        with torch.inference_mode():
            right = network(self._test_images).argmax(dim=1) == self._test_labels
        return float(right.float().mean())


def main(folder: Path) -> None:
    """Answer commands until the standard input ends."""
    peer = Peer(folder)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        try:
            answer = peer.answer(**json.loads(line))
        except (TypeError, ValueError, RuntimeError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
