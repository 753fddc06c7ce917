"""How the network learns: the loss, its gradients, and the step down them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nn.model import PIXEL, Floats, Weights, layer_outputs, log_softmax


def loss_and_gradients(
    weights: Weights,
    images: Floats,
    labels: NDArray[np.integer],
    out: Weights | None = None,
) -> tuple[float, float, Weights]:
    """Return the loss, the accuracy, and the gradient of the loss for each parameter.

    `images` is (B, inputs), `labels` (B,) with values 0..classes-1. The loss is the mean cross
    entropy over the batch in nats; the accuracy is the share of the batch, 0 to 1, whose most
    probable class is the label. The gradients have the structure and dtype of `weights`; `out` is
    where they are put, if given: memory that is used again is memory that is at hand.

    Back-propagation as in Rumelhart, Hinton and Williams, "Learning representations by
    back-propagating errors", 1986.
    """
    outputs = layer_outputs(weights, images)
    log_probabilities = log_softmax(outputs[-1])  # (B, classes)
    rows = np.arange(len(labels))
    loss = -float(np.add.reduce(log_probabilities[rows, labels]) / len(labels))
    accuracy = float(np.count_nonzero(outputs[-1].argmax(axis=1) == labels) / len(labels))

    # d loss / d logits = (probabilities - one-hot labels) / B
    error = np.exp(log_probabilities)  # (B, classes)
    error[rows, labels] -= 1
    error /= len(labels)

    gradients = weights.with_arrays(map(np.empty_like, weights.arrays)) if out is None else out
    for k in reversed(range(len(weights.matrices))):
        inputs = outputs[k - 1] if k else images
        np.matmul(inputs.T, error, out=gradients.matrices[k])  # (inputs of k, B) @ (B, outputs)
        if weights.biases:
            error.sum(axis=0, out=gradients.biases[k])
        if k:
            error = error @ weights.matrices[k].T  # (B, inputs of k)
            error *= inputs > 0  # ReLU passes the error only where it passed the signal
    return loss, accuracy, gradients


def descend(weights: Weights, gradients: Weights, learning_rate: float) -> None:
    """Take one step of stochastic gradient descent, changing the arrays of `weights` in place.

    `gradients` is used as scratch space: its values are spent afterwards.
    """
    for array, gradient in zip(weights.arrays, gradients.arrays, strict=True):
        gradient *= array.dtype.type(learning_rate)
        array -= gradient


def without_blank(
    images: NDArray[np.uint8],
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Return which pixels (inputs,) of `images` (B, inputs) are inked in any, and these (B, P)."""
    ink = np.bitwise_or.reduce(images, axis=0) != 0
    return ink, images.compress(ink, axis=1)


class Descent:
    """Stochastic gradient descent on batches of digits, in memory that is used again.

    A pixel that is blank in all images of a batch adds nothing to what the hidden units are given,
    and its weights do not move. So the step is taken without it: in a batch of 128 digits that is
    a third of the pixels, and of the arithmetic.
    """

    def __init__(self) -> None:
        self._images = np.empty(0, np.float32)
        self._gradients: Weights | None = None
        self._rows = np.empty((0, 0), np.float32)  # of the first matrix, for the inked pixels

    def step(
        self,
        weights: Weights,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        ink: NDArray[np.bool_],
        learning_rate: float,
    ) -> tuple[float, float, Weights]:
        """Take one step, changing the float32 `weights` in place.

        `images` (B, P), 0 to 255, holds the P pixels that are True in `ink` (inputs,); all others
        are blank; `labels` is (B,). Returns the loss and the accuracy before the step, as
        `loss_and_gradients` does, and what was subtracted from the weights: of the first matrix
        only the P rows of the inked pixels. It is good until the next step.
        """
        shapes = [array.shape for array in weights.arrays]  # biases may come and go with weights
        if self._gradients is None or [one.shape for one in self._gradients.arrays] != shapes:
            self._gradients = weights.copy()
            self._rows = np.empty_like(weights.matrices[0])
        if self._images.size < images.size:
            self._images = np.empty(images.size, np.float32)
        pixels = np.flatnonzero(ink)
        count = len(pixels)
        scaled = np.multiply(images, PIXEL, out=self._images[: images.size].reshape(images.shape))
        first = weights.matrices[0]
        rows = first.take(pixels, axis=0, out=self._rows[:count], mode="clip")  # unbuffered
        reached = weights.with_arrays((rows, *weights.arrays[1:]))
        spent = self._gradients.with_arrays(
            (self._gradients.matrices[0][:count], *self._gradients.arrays[1:])
        )
        loss, accuracy, gradients = loss_and_gradients(reached, scaled, labels, spent)
        descend(reached, gradients, learning_rate)
        first[pixels] = rows
        return loss, accuracy, gradients
