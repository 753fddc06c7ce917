"""What travels between the services, as frozen messages."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from nn.model import Weights
from nn.training import without_blank

MAX_BATCH_SIZE = 4096
MAX_CACHE_SIZE = 1024
MAX_EXAMPLES = 2**32 - 1  # of a split: an epoch's order is kept in 32 bits
MAX_LEARNING_RATE = 10.0
MAX_ITERATIONS = 10_000_000  # of one Start
MAX_WORKERS = 64  # that are told one by one

MAX_COUNT = 2**63 - 1  # as much as Redis, SQLite and numpy can hold
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Whole = Annotated[int, Meta(ge=-MAX_COUNT, le=MAX_COUNT)]
BatchSize = Annotated[int, Meta(ge=1, le=MAX_BATCH_SIZE)]
CacheSize = Annotated[int, Meta(ge=1, le=MAX_CACHE_SIZE)]
LearningRate = Annotated[float, Meta(gt=0, le=MAX_LEARNING_RATE)]
TrainerState = Literal["training", "paused", "waiting for data", "none"]
Origin = Literal["upload", "reset", "restore", "save", "checkpoint", "tune"]
MarkKind = Literal[
    "batch_size", "lrate", "cache_size", "tune", "upload", "reset", "restore", "diverged"
]


class Ticket(Struct, frozen=True, forbid_unknown_fields=True):
    """What to cut, never the data: a batch is a pure function of its ticket.

    `stream` names the trainer's unbroken sequence of tickets, `number` the place in it.
    """

    stream: Count
    number: Count
    dataset: str
    split: Literal["train", "test"]
    seed: Count
    epoch: Count
    position: Count  # of the first example, in the epoch's order
    batch_size: BatchSize
    augmentation: Literal["none"] = "none"


class Batch(Struct, frozen=True):
    """The answer to a ticket: images (B, P) uint8, labels (B,) uint8.

    The images hold the P pixels that are True in `ink` (784,); all others are blank in all of them.
    """

    stream: int
    number: int
    ink: NDArray[np.bool_]
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    @classmethod
    def answering(
        cls, ticket: Ticket, images: NDArray[np.uint8], labels: NDArray[np.uint8]
    ) -> Batch:
        """Return the answer to `ticket`: whole images (B, 784), without what is blank in all."""
        return cls(ticket.stream, ticket.number, *without_blank(images), labels)


class DataSetInfo(Struct, frozen=True, forbid_unknown_fields=True):
    """The data set in use. `reason` tells people why it is this one."""

    name: str
    reason: str
    train_count: Annotated[int, Meta(ge=1, le=MAX_EXAMPLES)]
    test_count: Annotated[int, Meta(ge=1, le=MAX_EXAMPLES)]


class RunSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The settings that a run shall have.

    `revision` grows with every change. `iterations` belongs to the Start of revision `started`:
    None trains until Stop. `request_id` is that of the call that changed them last.
    """

    batch_size: BatchSize
    learning_rate: LearningRate
    cache_size: CacheSize
    seed: Count
    training: bool = False
    iterations: Annotated[int, Meta(ge=1, le=MAX_ITERATIONS)] | None = None
    started: Count = 0
    revision: Count = 0
    request_id: Annotated[str, Meta(max_length=64)] = ""


class Mark(Struct, frozen=True, forbid_unknown_fields=True):
    """Something that was done to the run, or befell it, at an iteration of its curve.

    `value` is the new setting; for weights the version that became live; where training diverged
    or the network died, the learning rate. `at` is Unix time in milliseconds: with `kind`, it
    tells one mark from another.
    """

    iteration: Count
    kind: MarkKind
    value: float
    at: Count


class TestPoint(Struct, frozen=True, forbid_unknown_fields=True):
    """The test accuracy (0 to 1) that the weights of one version had at an iteration."""

    version: Count
    iteration: Count
    test_acc: Annotated[float, Meta(ge=0, le=1)]


class History(Struct, frozen=True, forbid_unknown_fields=True):
    """What is drawn of a run, the rest of it being told before or after.

    `iteration`, `loss` and `acc` are the points of the curve, equally long; a loss that was not
    finite is None. Marks are in the order in which they were made, test points in that of their
    iterations.
    """

    iteration: list[Count] = []
    loss: list[float | None] = []
    acc: list[float] = []
    marks: list[Mark] = []
    tests: list[TestPoint] = []


class Worker(Struct, frozen=True, forbid_unknown_fields=True):
    """A data worker that lives, and how fast it is."""

    name: str
    batches_per_second: float


class ResponseSignal(Struct, frozen=True, forbid_unknown_fields=True):
    """What a viewer sees of a run; the first nine fields are the original program's.

    `acc` and `test_acc` are 0 to 1, `loss` is in nats. The entries of `history` replace whatever
    the viewer has after iteration `history_from`; a mark or test point that it has already stays.
    A training that stops at `target_iteration` began at `start_iteration`, which may be below 0:
    weights replaced meanwhile move both. `workers` are sorted by name, and cut after MAX_WORKERS;
    `data_workers` counts all. `problem` is a sentence for a banner.
    """

    loss: float | None
    acc: float | None
    batch_size: Count
    lrate: float
    data_len: Count
    data_futures_len: Count
    iteration: Count
    cache_size: Count
    weights: None = None
    type: Literal["ResponseSignal"] = "ResponseSignal"
    training: bool = False
    trainer: TrainerState = "none"
    start_iteration: Whole | None = None
    target_iteration: Whole | None = None
    version: Count = 0
    epoch: Count = 0
    samples_per_second: float = 0.0
    dataset: str | None = None
    dataset_reason: str = ""
    data_workers: Count = 0
    workers: list[Worker] = []
    test_acc: float | None = None
    problem: str | None = None
    history: History = History()
    history_from: Count = 0


class Frame(Struct, frozen=True, forbid_unknown_fields=True):
    """A signal as the trainer sends it to the gateways.

    `revision` is that of the settings which it obeys, `generation` the version of the weights
    that last replaced the run's. `number` grows from frame to frame, also from one trainer to the
    next: a frame that comes twice is known by it. One of 0 has none.
    """

    revision: Count
    generation: Count
    signal: ResponseSignal
    number: Count = 0


class Evaluation(Struct, frozen=True, forbid_unknown_fields=True):
    """The test accuracy (0 to 1) of the weights of one version, live ones or others."""

    version: Count
    iteration: Count
    test_acc: Annotated[float, Meta(ge=0, le=1)]
    live: bool


class WeightsInfo(Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of some weights; their safetensors metadata."""

    version: Count
    iteration: Count
    origin: Origin
    loss: float | None = None


class Snapshot(Struct, frozen=True):
    """Weights and what is known of them. Nobody changes the arrays of a snapshot."""

    weights: Weights
    info: WeightsInfo


class Checkpoint(Struct, frozen=True):
    """Whence a trainer goes on to the same weights that an undisturbed run reaches.

    `epoch` and `position` are the place of the next batch. `start_iteration` and
    `target_iteration` belong to the Start of revision `started`.
    """

    weights: Weights
    iteration: Count
    epoch: Count
    position: Count
    generation: Count
    started: Count
    dataset: str
    loss: float | None = None
    acc: float | None = None
    start_iteration: Whole | None = None
    target_iteration: Whole | None = None
