from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from nn.model import fresh_weights
from services.trainer.feed import START, Place
from services.trainer.state import State
from wire.messages import RunSettings, Snapshot, WeightsInfo

SETTINGS = RunSettings(batch_size=128, learning_rate=0.1, cache_size=16, seed=3)


def changed(**changes: object) -> RunSettings:
    return msgspec.structs.replace(SETTINGS, revision=1, **changes)


@pytest.fixture
def state() -> State:
    return State(fresh_weights(3, 16, False), SETTINGS, iteration=100, place=Place(2, 64))


def test_start_for_some_iterations_sets_the_target_from_here(state: State) -> None:
    assert not state.obey(changed(training=True, started=1, iterations=50))
    assert state.training
    assert (state.start_iteration, state.target_iteration) == (100, 150)
    state.iteration = 150
    assert state.at_target


def test_the_same_start_seen_again_keeps_its_target(state: State) -> None:
    start = changed(training=True, started=1, iterations=50)
    state.obey(start)
    state.iteration = 120
    state.obey(msgspec.structs.replace(start, learning_rate=0.2))
    assert (state.start_iteration, state.target_iteration) == (100, 150)


def test_a_start_without_end_after_one_with(state: State) -> None:
    state.obey(changed(training=True, started=1, iterations=50))
    state.obey(changed(training=True, started=2))
    assert state.training
    assert (state.start_iteration, state.target_iteration) == (None, None)


@pytest.mark.parametrize(
    ("changes", "recut"),
    [
        ({"batch_size": 64}, True),
        ({"cache_size": 4}, True),
        ({"cache_size": 32}, False),
        ({"learning_rate": 0.5}, False),
        ({"training": True, "started": 1}, False),
    ],
)
def test_which_changes_make_the_cache_useless(
    state: State, changes: dict[str, object], recut: bool
) -> None:
    assert state.obey(changed(**changes)) is recut


def test_a_reset_goes_back_to_the_start_of_the_data(state: State) -> None:
    weights = fresh_weights(9, 16, False)
    state.adopt(Snapshot(weights, WeightsInfo(7, 0, "reset")), 7)
    assert (state.iteration, state.place, state.generation) == (0, START, 7)
    assert state.weights.matrices[0] is not weights.matrices[0]
    np.testing.assert_array_equal(state.weights.matrices[0], weights.matrices[0])


def test_an_upload_goes_on_at_its_place_in_the_data(state: State) -> None:
    state.obey(changed(training=True, started=1, iterations=50))
    state.iteration = 110
    state.adopt(Snapshot(fresh_weights(9, 16, False), WeightsInfo(7, 500, "restore")), 7)
    assert (state.iteration, state.place) == (500, Place(2, 64))
    # What was left is left, and what was done is done.
    assert (state.start_iteration, state.target_iteration) == (490, 540)


def test_what_settings_change_is_told_and_no_more(state: State) -> None:
    start = changed(training=True, started=1, iterations=5)
    assert state.changes(start) == []
    assert state.changes(msgspec.structs.replace(start, learning_rate=0.2)) == [("lrate", 0.2)]
    other = changed(batch_size=64, learning_rate=0.2, cache_size=4)
    assert state.changes(other) == [("batch_size", 64), ("lrate", 0.2), ("cache_size", 4)]
    state.obey(other)
    assert state.changes(other) == []


def test_what_befell_the_network_is_told_until_other_weights_come(state: State) -> None:
    state.died, state.problem = True, "The network has died."
    state.obey(changed(learning_rate=0.01))
    assert state.problem == "The network has died."
    state.adopt(Snapshot(fresh_weights(9, 16, False), WeightsInfo(7, 0, "reset")), 7)
    assert state.problem is None
    assert not state.died


def test_a_checkpoint_brings_everything_back(state: State) -> None:
    state.obey(changed(training=True, started=4, iterations=10))
    state.loss, state.acc, state.dataset, state.generation = 0.5, 0.9, "mnist", 6
    checkpoint = state.checkpoint()
    other = State(fresh_weights(1, 16, False), SETTINGS)
    other.go_back(checkpoint)
    restored = replace(other, weights=state.weights, settings=state.settings, training=True)
    assert restored == state
    np.testing.assert_array_equal(other.weights.matrices[0], state.weights.matrices[0])


def test_a_checkpoint_shares_no_memory_and_no_nan(state: State) -> None:
    state.loss = math.nan
    checkpoint = state.checkpoint()
    state.weights.matrices[0][:] = 0
    assert checkpoint.loss is None
    assert checkpoint.weights.matrices[0].any()
