"""The trainer's state through any sequence of what may happen to it."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import asdict, replace

from nn.model import Weights, init_weights
from services.trainer.feed import START, Place
from services.trainer.state import State
from wire.codec import decode_checkpoint, encode_checkpoint
from wire.messages import Checkpoint, RunSettings, Snapshot, WeightsInfo

COUNT = 1000  # examples of the data set
SETTINGS = RunSettings(batch_size=128, learning_rate=0.1, cache_size=16, seed=3)


def weights_of(seed: int) -> Weights:
    return init_weights(np.random.default_rng([seed]), (3, 2, 2))


def facts(one: State | Checkpoint) -> dict[str, Any]:
    """Return all that a state or a checkpoint holds, its weights as bytes."""
    fields = vars(one) if isinstance(one, State) else asdict(one)
    return {**fields, "weights": [array.tobytes() for array in one.weights.arrays]}


class Run(RuleBasedStateMachine):
    """A run, beside a model of it that counts what is left and what is done of the last Start."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State(weights_of(0), SETTINGS)
        self.wanted = SETTINGS
        self.left: int | None = None
        self.done: int | None = None
        self.saved: list[tuple[Checkpoint, int | None, int | None]] = []

    def obey(self, **changes: Any) -> None:
        """Change what is wanted, and let the state follow."""
        self.wanted = replace(self.wanted, revision=self.wanted.revision + 1, **changes)
        self.state.obey(self.wanted)

    @rule(iterations=st.none() | st.integers(1, 9))
    def start(self, iterations: int | None) -> None:
        self.left = iterations
        self.done = None if iterations is None else 0
        self.obey(training=True, iterations=iterations, started=self.wanted.started + 1)

    @rule()
    def stop(self) -> None:
        self.obey(training=False)

    @rule(
        batch_size=st.integers(1, 1200),
        rate=st.sampled_from([0.1, 0.5]),
        cache_size=st.integers(1, 20),
    )
    def set(self, batch_size: int, rate: float, cache_size: int) -> None:
        before = self.state.settings
        recut = batch_size != before.batch_size or cache_size < before.cache_size
        self.wanted = replace(self.wanted, batch_size=batch_size, learning_rate=rate,
                              cache_size=cache_size, revision=self.wanted.revision + 1)  # fmt: skip
        assert self.state.obey(self.wanted) == recut

    @precondition(lambda self: self.state.training)
    @rule()
    def learn(self) -> None:
        """Take one step, as the loop does."""
        state = self.state
        state.iteration += 1
        state.place = state.place.after(state.settings.batch_size, COUNT)
        state.weights.matrices[0][0, 0] += 1
        state.loss = float(state.iteration)
        if self.left is not None and self.done is not None:
            self.left, self.done = self.left - 1, self.done + 1
        if state.at_target:  # the loop ends it, and the settings say so
            self.obey(training=False)

    @rule(
        iteration=st.integers(0, 500),
        origin=st.sampled_from(["upload", "reset", "restore"]),
    )
    def adopt(self, iteration: int, origin: Any) -> None:
        generation = self.state.generation + 1
        given = weights_of(generation)
        place = self.state.place
        self.state.died, self.state.problem = True, "dead"
        self.state.adopt(Snapshot(given, WeightsInfo(generation, iteration, origin)), generation)
        assert (self.state.iteration, self.state.generation) == (iteration, generation)
        assert self.state.place == (START if origin == "reset" else place)
        assert not facts(self.state)["died"]
        assert facts(self.state)["problem"] is None
        assert not any(map(np.shares_memory, given.arrays, self.state.weights.arrays))

    @rule()
    def save(self) -> None:
        checkpoint = decode_checkpoint(encode_checkpoint(self.state.checkpoint()))
        self.saved.append((checkpoint, self.left, self.done))

    @precondition(lambda self: self.saved)
    @rule(data=st.data(), anew=st.booleans())
    def go_back(self, data: st.DataObject, anew: bool) -> None:
        """Return to a checkpoint, in this trainer or in the next one; then follow what is wanted.

        A Start that came after the checkpoint begins there.
        """
        checkpoint, left, done = data.draw(st.sampled_from(self.saved))
        if anew:
            self.state = State(weights_of(99), SETTINGS)
        self.state.go_back(checkpoint)
        assert facts(self.state.checkpoint()) == facts(checkpoint)
        if checkpoint.started == self.wanted.started or not self.wanted.training:
            self.left, self.done = left, done
        else:
            self.left = self.wanted.iterations
            self.done = None if self.left is None else 0
        self.state.obey(self.wanted)

    @invariant()
    def what_is_left_is_left_and_what_is_done_is_done(self) -> None:
        state = self.state
        target, start = state.target_iteration, state.start_iteration
        assert (None if target is None else target - state.iteration) == self.left
        assert (None if start is None else state.iteration - start) == self.done

    @invariant()
    def it_trains_if_that_is_wanted_and_something_is_left(self) -> None:
        assert self.state.training == (self.wanted.training and self.left != 0)

    @invariant()
    def to_obey_again_changes_nothing(self) -> None:
        before = facts(self.state)
        assert not self.state.obey(self.wanted)
        assert self.state.changes(self.wanted) == []
        assert facts(self.state) == before

    @invariant()
    def its_place_is_in_the_data(self) -> None:
        assert isinstance(self.state.place, Place)
        assert 0 <= self.state.place.position < COUNT

    @invariant()
    def a_checkpoint_is_a_copy(self) -> None:
        checkpoint = self.state.checkpoint()
        assert not any(map(np.shares_memory, checkpoint.weights.arrays, self.state.weights.arrays))


Run.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestRun = Run.TestCase
