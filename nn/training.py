"""How the network learns: the loss, its gradients, and the step down them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nn.model import Floats, Weights, layer_outputs, log_softmax


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
    loss = float(-log_probabilities[rows, labels].mean())
    accuracy = float((outputs[-1].argmax(axis=1) == labels).mean())

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
