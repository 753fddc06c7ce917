"""Gradients meet two oracles: finite differences, and an automatic differentiator."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import value_and_grad

from nn.model import Weights, init_weights
from nn.training import descend, loss_and_gradients

SHAPES = [(6, 3), (6, 5, 3), (6, 5, 4, 3)]


def small_problem(sizes: tuple[int, ...], biases: bool) -> tuple[Weights, np.ndarray, np.ndarray]:
    rng = np.random.default_rng([len(sizes), biases])
    weights = init_weights(rng, sizes, biases=biases)
    weights = weights.with_arrays(
        array.astype(np.float64) + 0.1 * rng.random(array.shape) for array in weights.arrays
    )
    return weights, rng.random((7, sizes[0])), rng.integers(0, sizes[-1], 7)


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("sizes", SHAPES)
def test_gradients_match_finite_differences(sizes: tuple[int, ...], biases: bool) -> None:
    weights, images, labels = small_problem(sizes, biases)
    _, _, gradients = loss_and_gradients(weights, images, labels)
    step = 1e-6
    for array, gradient in zip(weights.arrays, gradients.arrays, strict=True):
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + step
            above = loss_and_gradients(weights, images, labels)[0]
            array[place] = kept - step
            below = loss_and_gradients(weights, images, labels)[0]
            array[place] = kept
            assert gradient[place] == pytest.approx((above - below) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("sizes", SHAPES)
def test_gradients_match_automatic_differentiation(sizes: tuple[int, ...], biases: bool) -> None:
    weights, images, labels = small_problem(sizes, biases)
    layers = len(weights.matrices)

    def cross_entropy(arrays):
        signal = images
        for k in range(layers):
            signal = anp.dot(signal, arrays[k]) + (arrays[layers + k] if biases else 0.0)
            if k < layers - 1:
                signal = anp.where(signal > 0, signal, 0.0)
        chosen = signal[anp.arange(len(labels)), labels]
        return anp.mean(anp.log(anp.sum(anp.exp(signal), axis=1)) - chosen)

    expected_loss, expected = value_and_grad(cross_entropy)(list(weights.arrays))
    loss, _, gradients = loss_and_gradients(weights, images, labels)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    for gradient, reference in zip(gradients.arrays, expected, strict=True):
        np.testing.assert_allclose(gradient, reference, rtol=1e-9, atol=1e-12)


def test_loss_of_an_undecided_network_is_the_logarithm_of_ten() -> None:
    weights = Weights((np.zeros((784, 10), np.float32),))
    loss, _, gradients = loss_and_gradients(weights, np.ones((4, 784), np.float32), np.arange(4))
    assert loss == pytest.approx(np.log(10), rel=1e-6)
    assert gradients.matrices[0].dtype == np.float32


def test_accuracy_counts_the_most_probable_class() -> None:
    weights = Weights((np.eye(3),))
    images, labels = np.eye(3), np.array([0, 1, 0])
    assert loss_and_gradients(weights, images, labels)[1] == pytest.approx(2 / 3)


def test_descend_steps_against_the_gradient_in_place() -> None:
    weights = Weights((np.array([[1.0, 2.0]]),), (np.array([0.0, 0.0]),))
    matrix = weights.matrices[0]
    descend(weights, Weights((np.array([[1.0, -1.0]]),), (np.array([2.0, 0.0]),)), 0.5)
    assert matrix is weights.matrices[0]
    np.testing.assert_allclose(matrix, [[0.5, 2.5]])
    np.testing.assert_allclose(weights.biases[0], [-1.0, 0.0])


def test_training_learns_a_separable_problem() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 300)
    images = (np.eye(3)[labels] + 0.1 * rng.random((300, 3))).astype(np.float32)
    weights = init_weights(rng, (3, 16, 3))
    for _ in range(200):
        _, _, gradients = loss_and_gradients(weights, images, labels)
        descend(weights, gradients, 0.5)
    assert loss_and_gradients(weights, images, labels)[1] == 1.0
