"""The state of a run in its trainer: what it has, and how settings change it. No I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nn.model import Weights
from services.trainer.feed import START, Place
from wire.messages import Checkpoint, MarkKind, RunSettings, Snapshot


@dataclass
class State:
    """Everything that decides how training goes on.

    `generation` is the version of the weights that last replaced the run's. `target_iteration`
    is where the training stops that began at `start_iteration` with the Start number `started`.
    `idle_iterations` in a row had no hidden unit that was on; `died` says that there were too many.
    """

    weights: Weights
    settings: RunSettings
    iteration: int = 0
    place: Place = START
    generation: int = 0
    started: int = 0
    start_iteration: int | None = None
    target_iteration: int | None = None
    training: bool = False
    dataset: str = ""
    loss: float | None = None
    acc: float | None = None
    problem: str | None = None
    idle_iterations: int = 0
    died: bool = False

    def changes(self, settings: RunSettings) -> list[tuple[MarkKind, float]]:
        """Return what `settings` change of how the network learns, and to what."""
        ours = self.settings
        values: list[tuple[MarkKind, float, float]] = [
            ("batch_size", ours.batch_size, settings.batch_size),
            ("lrate", ours.learning_rate, settings.learning_rate),
            ("cache_size", ours.cache_size, settings.cache_size),
        ]
        return [(kind, wanted) for kind, value, wanted in values if wanted != value]

    def obey(self, settings: RunSettings) -> bool:
        """Follow new settings; return whether the batches that are on their way are of no use."""
        recut = (
            settings.batch_size != self.settings.batch_size
            or settings.cache_size < self.settings.cache_size
        )
        if settings.training and settings.started != self.started:
            self.problem = self.start_iteration = self.target_iteration = None
            if settings.iterations is not None:
                self.start_iteration = self.iteration
                self.target_iteration = self.iteration + settings.iterations
        if settings.learning_rate != self.settings.learning_rate and not self.died:
            self.problem = None
        self.started = settings.started
        self.training = settings.training and not self.at_target
        self.settings = settings
        return recut

    @property
    def is_finite(self) -> bool:
        """Whether all weights are numbers; a step that diverged leaves others."""
        return all(bool(np.isfinite(array).all()) for array in self.weights.arrays)

    @property
    def at_target(self) -> bool:
        """Whether the iterations of the last Start are done."""
        return self.target_iteration is not None and self.iteration >= self.target_iteration

    def adopt(self, snapshot: Snapshot, generation: int) -> None:
        """Go on from weights that somebody put in place of the run's.

        A reset goes back to the start of the data; a training under way keeps what it has left.
        """
        step = snapshot.info.iteration - self.iteration
        if self.target_iteration is not None:
            self.target_iteration += step
        if self.start_iteration is not None:
            self.start_iteration += step
        self.weights = snapshot.weights.copy()
        self.iteration = snapshot.info.iteration
        self.generation = generation
        self.loss, self.acc, self.problem = snapshot.info.loss, None, None
        self.idle_iterations, self.died = 0, False
        if snapshot.info.origin == "reset":
            self.place = START

    def checkpoint(self) -> Checkpoint:
        """Return a copy of what the next trainer needs to go on from here."""
        return Checkpoint(
            weights=self.weights.copy(),
            iteration=self.iteration,
            epoch=self.place.epoch,
            position=self.place.position,
            generation=self.generation,
            started=self.started,
            dataset=self.dataset,
            loss=self.loss if self.loss is not None and math.isfinite(self.loss) else None,
            acc=self.acc,
            start_iteration=self.start_iteration,
            target_iteration=self.target_iteration,
        )

    def go_back(self, checkpoint: Checkpoint) -> None:
        """Return to a checkpoint."""
        self.weights = checkpoint.weights.copy()
        self.iteration = checkpoint.iteration
        self.place = Place(checkpoint.epoch, checkpoint.position)
        self.generation = checkpoint.generation
        self.started = checkpoint.started
        self.start_iteration = checkpoint.start_iteration
        self.target_iteration = checkpoint.target_iteration
        self.dataset = checkpoint.dataset
        self.loss, self.acc = checkpoint.loss, checkpoint.acc
        self.idle_iterations, self.died = 0, False
