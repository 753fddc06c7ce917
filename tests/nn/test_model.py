import numpy as np
import pytest

from nn.model import Weights, forward, init_weights, log_softmax, predict

SIZES = (784, 128, 10)


def test_one_image_and_many_take_the_same_path_and_agree() -> None:
    rng = np.random.default_rng(1)
    weights = init_weights(rng, SIZES)
    images = rng.random((32, 784), dtype=np.float32)
    many = predict(weights, images)
    one = np.concatenate([predict(weights, image[None]) for image in images])
    assert many.shape == (32, 10)
    np.testing.assert_allclose(many, one, rtol=2e-5)


def test_probabilities_sum_to_one_and_stay_float32() -> None:
    rng = np.random.default_rng(2)
    probabilities = predict(init_weights(rng, SIZES), rng.random((5, 784), dtype=np.float32))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_a_network_worked_out_by_hand() -> None:
    weights = Weights(
        (np.array([[1.0, -1.0]]), np.array([[2.0, 0.0], [0.0, 3.0]])),
        (np.array([0.5, 0.0]), np.array([0.0, 1.0])),
    )
    # 2 -> (2.5, -2) -> ReLU (2.5, 0) -> (5, 0) + (0, 1)
    np.testing.assert_allclose(forward(weights, np.array([[2.0]])), [[5.0, 1.0]])


def test_log_softmax_survives_huge_and_all_negative_logits() -> None:
    logits = np.array([[1000.0, 0.0], [-1000.0, -1001.0]])
    result = np.exp(log_softmax(logits))
    np.testing.assert_allclose(result, [[1.0, 0.0], [0.731059, 0.268941]], atol=1e-6)


def test_he_initialisation_has_the_stated_deviation_and_follows_the_seed() -> None:
    first = init_weights(np.random.default_rng(7), SIZES)
    again = init_weights(np.random.default_rng(7), SIZES)
    other = init_weights(np.random.default_rng(8), SIZES)
    assert first.sizes == SIZES
    assert first.matrices[0].std() == pytest.approx(np.sqrt(2 / 784), rel=0.02)
    assert first.matrices[1].std() == pytest.approx(np.sqrt(2 / 128), rel=0.05)
    assert all(np.array_equal(a, b) for a, b in zip(first.arrays, again.arrays, strict=True))
    assert not np.array_equal(first.matrices[0], other.matrices[0])


@pytest.mark.parametrize(
    ("matrices", "biases", "message"),
    [
        ((), (), "at least one matrix"),
        ((np.zeros(3),), (), "two dimensions"),
        ((np.zeros((3, 4)), np.zeros((5, 2))), (), r"\(3, 4\) and \(5, 2\) do not chain"),
        ((np.zeros((3, 4)),), (np.zeros(3),), "do not fit"),
    ],
)
def test_weights_that_are_no_network_are_refused(
    matrices: tuple[np.ndarray, ...], biases: tuple[np.ndarray, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Weights(matrices, biases)
