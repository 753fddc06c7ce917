"""What a network makes of labelled examples, beside what its definition says."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nn.evaluation import CHUNK, confusion, evaluate
from nn.model import Weights, init_weights, predict
from nn.training import loss_and_gradients


def examples(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return random images (count, 784) and labels (count,)."""
    rng = np.random.default_rng([seed])
    return (
        rng.integers(0, 256, (count, 784), dtype=np.uint8),
        rng.integers(0, 10, count, dtype=np.uint8),
    )


@pytest.mark.parametrize("count", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2345])
@pytest.mark.parametrize("biases", [False, True])
def test_it_is_what_training_and_prediction_say(count: int, biases: bool) -> None:
    rng = np.random.default_rng([5])
    weights = init_weights(rng, (784, 16, 10), biases=biases)
    for bias in weights.biases:
        bias += rng.standard_normal(bias.shape, dtype=np.float32)
    images, labels = examples(count)
    scaled = images.astype(np.float32) / 255
    loss, accuracy, _ = loss_and_gradients(weights, scaled, labels)
    probabilities = predict(weights, scaled)
    outcome = evaluate(weights, images, labels)
    assert outcome.accuracy == pytest.approx(accuracy, abs=1e-7)
    assert outcome.loss == pytest.approx(loss, rel=1e-5)
    np.testing.assert_array_equal(outcome.digits, probabilities.argmax(axis=1))
    np.testing.assert_allclose(outcome.probabilities, probabilities.max(axis=1), rtol=1e-4)
    of_labels = probabilities[np.arange(count), labels]
    np.testing.assert_allclose(outcome.label_probabilities, of_labels, rtol=1e-4)
    assert outcome.digits.dtype == np.uint8
    assert outcome.probabilities.dtype == outcome.label_probabilities.dtype == np.float32


def test_by_hand() -> None:
    matrix = np.zeros((784, 10), np.float32)
    matrix[0, 3] = np.log(2)  # one bright pixel: class 3 twice as probable as any other
    images = np.zeros((4, 784), np.uint8)
    images[:3, 0] = 255
    outcome = evaluate(Weights((matrix,)), images, np.array([3, 3, 7, 0], np.uint8))
    assert outcome.digits.tolist() == [3, 3, 3, 0]
    assert outcome.accuracy == 0.75
    np.testing.assert_allclose(outcome.probabilities, [2 / 11, 2 / 11, 2 / 11, 0.1], rtol=1e-6)
    np.testing.assert_allclose(
        outcome.label_probabilities, [2 / 11, 2 / 11, 1 / 11, 0.1], rtol=1e-6
    )
    expected = np.log([11 / 2, 11 / 2, 11, 10]).mean()
    assert outcome.loss == pytest.approx(expected, rel=1e-6)


def test_the_loss_of_a_sure_mistake_is_finite() -> None:
    matrix = np.zeros((784, 10), np.float32)
    matrix[0, 3] = 1000
    images = np.zeros((1, 784), np.uint8)
    images[0, 0] = 255
    outcome = evaluate(Weights((matrix,)), images, np.array([4], np.uint8))
    assert outcome.loss == pytest.approx(1000)
    assert (outcome.probabilities[0], outcome.label_probabilities[0]) == (1, 0)


@pytest.mark.parametrize("sizes", [(783, 10), (784, 3), (5, 3)])
def test_another_network_is_refused(sizes: tuple[int, int]) -> None:
    weights = Weights((np.ones(sizes, np.float32),))
    with pytest.raises(ValueError, match=f"a network from {sizes[0]} to {sizes[1]} cannot be"):
        evaluate(weights, *examples(3))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=60))
def test_confusion_counts_each_pair_of_label_and_digit(pairs: list[tuple[int, int]]) -> None:
    labels, digits = (np.array([pair[k] for pair in pairs], np.uint8) for k in (0, 1))
    matrix = confusion(labels, digits)
    assert matrix.shape == (10, 10)
    counts = Counter(pairs)
    assert all(matrix[label, digit] == counts[label, digit] for label, digit in np.ndindex(10, 10))
