"""Gradients meet two oracles: finite differences, and an automatic differentiator."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import value_and_grad

from nn.model import PIXEL, Weights, init_weights
from nn.training import Descent, descend, loss_and_gradients, without_blank

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


def digits(count: int, pixels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return random images (count, 784) in which so many pixels are inked, and labels (count,)."""
    rng = np.random.default_rng([seed, count, pixels])
    images = np.zeros((count, 784), np.uint8)
    images[:, rng.permutation(784)[:pixels]] = rng.integers(1, 256, (count, pixels))
    return images, rng.integers(0, 10, count).astype(np.uint8)


def plain_step(weights: Weights, images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Take a step with all pixels, blank or not."""
    scaled = np.multiply(images, PIXEL, dtype=np.float32)
    loss, accuracy, gradients = loss_and_gradients(weights, scaled, labels)
    descend(weights, gradients, 0.5)
    return loss, accuracy


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("sizes", [(784, 10), (784, 16, 10), (784, 16, 12, 10)])
def test_a_step_without_blank_pixels_is_the_step_with_them(
    sizes: tuple[int, ...], biases: bool
) -> None:
    weights = init_weights(np.random.default_rng([1]), sizes, biases=biases)
    plain = weights.copy()
    descent = Descent()
    for k, (count, pixels) in enumerate([(40, 500), (7, 90), (64, 700), (1, 30)]):
        images, labels = digits(count, pixels, k)
        ink, shown = without_blank(images)
        assert ink.sum() == pixels
        before = weights.matrices[0].copy()
        loss, accuracy, _ = descent.step(weights, shown, labels, ink, 0.5)
        assert (loss, accuracy) == pytest.approx(plain_step(plain, images, labels), rel=1e-5)
        np.testing.assert_array_equal(weights.matrices[0][~ink], before[~ink])
        for array, reference in zip(weights.arrays, plain.arrays, strict=True):
            np.testing.assert_allclose(array, reference, rtol=1e-4, atol=1e-5)


def test_a_step_with_every_pixel_inked_is_the_plain_step_to_the_bit() -> None:
    weights = init_weights(np.random.default_rng([1]), (784, 16, 10))
    plain = weights.copy()
    images, labels = digits(32, 784)
    ink, shown = without_blank(images)
    loss, accuracy, _ = Descent().step(weights, shown, labels, ink, 0.5)
    assert (loss, accuracy) == plain_step(plain, images, labels)
    for array, reference in zip(weights.arrays, plain.arrays, strict=True):
        np.testing.assert_array_equal(array, reference)


def test_one_descent_serves_networks_of_any_size_and_blank_batches() -> None:
    descent = Descent()
    for sizes in [(784, 16, 10), (784, 32, 10), (784, 16, 10)]:
        weights = init_weights(np.random.default_rng([2]), sizes)
        plain = weights.copy()
        for pixels in (300, 0):
            images, labels = digits(9, pixels)
            ink, shown = without_blank(images)
            loss, accuracy, _ = descent.step(weights, shown, labels, ink, 0.5)
            assert (loss, accuracy) == pytest.approx(plain_step(plain, images, labels), rel=1e-5)
        assert loss == pytest.approx(np.log(10))  # a blank image says nothing


def test_one_descent_serves_networks_with_biases_and_without() -> None:
    descent = Descent()
    images, labels = digits(9, 300)
    ink, shown = without_blank(images)
    for biases in (False, True, False):
        weights = init_weights(np.random.default_rng([4]), (784, 16, 10), biases=biases)
        plain = weights.copy()
        descent.step(weights, shown, labels, ink, 0.5)
        plain_step(plain, images, labels)
        for array, reference in zip(weights.arrays, plain.arrays, strict=True):
            np.testing.assert_allclose(array, reference, rtol=1e-4, atol=1e-5)


def test_what_is_subtracted_is_returned() -> None:
    weights = init_weights(np.random.default_rng([3]), (784, 16, 10))
    images, labels = digits(20, 400)
    ink, shown = without_blank(images)
    before = weights.copy()
    _, _, step = Descent().step(weights, shown, labels, ink, 0.5)
    np.testing.assert_array_equal(
        before.matrices[0][ink] - step.matrices[0], weights.matrices[0][ink]
    )
    np.testing.assert_array_equal(before.matrices[1] - step.matrices[1], weights.matrices[1])
