"""How good the network is: what it makes of labelled examples, of which there may be many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nn.model import CLASSES, PIXEL, Floats, Weights, forward, log_softmax

CHUNK = 1000  # images at a time, so that little memory is needed


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a network makes of N labelled images.

    `accuracy` is the share, 0 to 1, that it classifies right; `loss` the mean cross entropy in
    nats. `digits` (N,) uint8 holds the most probable class of each image, `probabilities` (N,)
    float32 the probability of that class, `label_probabilities` (N,) float32 that of the label.
    """

    accuracy: float
    loss: float
    digits: NDArray[np.uint8]
    probabilities: Floats
    label_probabilities: Floats


def evaluate(weights: Weights, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Outcome:
    """Return what the network makes of `images` (N, inputs), 0 to 255, whose classes are `labels`.

    Raises ValueError for a network of other inputs, or of other outputs than the ten classes.
    """
    if (weights.sizes[0], weights.sizes[-1]) != (images.shape[1], CLASSES):
        raise ValueError(
            f"a network from {weights.sizes[0]} to {weights.sizes[-1]} cannot be evaluated on "
            f"images of {images.shape[1]} pixels and {CLASSES} classes"
        )
    count = len(labels)
    digits = np.empty(count, np.uint8)
    own, true = np.empty(count, np.float32), np.empty(count, np.float32)  # log-probabilities
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        logits = forward(weights, np.multiply(images[part], PIXEL, dtype=np.float32))  # (B, 10)
        digits[part] = logits.argmax(axis=1)
        log_probabilities = log_softmax(logits)
        rows = np.arange(len(logits))
        own[part] = log_probabilities[rows, digits[part]]
        true[part] = log_probabilities[rows, labels[part]]
    return Outcome(
        float((digits == labels).mean()),
        float(-true.mean(dtype=np.float64)),
        digits,
        np.exp(own),
        np.exp(true),
    )


def confusion(labels: NDArray[np.uint8], digits: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return how often (10, 10) each label, the row, was classified as each digit, the column."""
    pairs = labels.astype(np.intp) * CLASSES + digits
    return np.bincount(pairs, minlength=CLASSES * CLASSES).reshape(CLASSES, CLASSES)
