"""The network: its weights, how they start, and how an image becomes ten probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]  # float32 in the services; float64 where a test differentiates

IMAGE_SIDE = 28
INPUTS = IMAGE_SIDE * IMAGE_SIDE  # one number for each pixel, 0 (paper) to 1 (ink)
CLASSES = 10  # the digits 0 to 9
PIXEL = np.float32(1 / 255)  # what scales a pixel's byte to 0..1


@dataclass(frozen=True, slots=True)
class Weights:
    """The parameters of a fully connected network.

    `matrices[k]` has shape (inputs of layer k, outputs of layer k); each is multiplied from
    the right, so that a batch (B, inputs) becomes (B, outputs). `biases` is empty, or holds one
    array (outputs of layer k,) for each matrix.
    """

    matrices: tuple[Floats, ...]
    biases: tuple[Floats, ...] = ()

    def __post_init__(self) -> None:
        if not self.matrices:
            raise ValueError("a network needs at least one matrix")
        for matrix in self.matrices:
            if matrix.ndim != 2:
                raise ValueError(f"a matrix has two dimensions, not shape {matrix.shape}")
        for before, after in pairwise(self.matrices):
            if before.shape[1] != after.shape[0]:
                raise ValueError(f"shapes {before.shape} and {after.shape} do not chain")
        if self.biases and [b.shape for b in self.biases] != [m.shape[1:] for m in self.matrices]:
            raise ValueError(
                f"biases of shapes {[b.shape for b in self.biases]} do not fit "
                f"matrices of shapes {[m.shape for m in self.matrices]}"
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer, inputs first: (784, 128, 10)."""
        return (self.matrices[0].shape[0], *(matrix.shape[1] for matrix in self.matrices))

    @property
    def arrays(self) -> tuple[Floats, ...]:
        """Every parameter array, matrices first: what an optimiser changes."""
        return self.matrices + self.biases

    def with_arrays(self, arrays: Iterable[Floats]) -> Weights:
        """Return weights of this structure that hold `arrays`, given in the order of `arrays`."""
        given = tuple(arrays)
        return Weights(given[: len(self.matrices)], given[len(self.matrices) :])

    def copy(self) -> Weights:
        """Return weights that share no memory with these."""
        return self.with_arrays(array.copy() for array in self.arrays)


def init_weights(
    rng: np.random.Generator, sizes: Sequence[int], *, biases: bool = False
) -> Weights:
    """Return random float32 weights for layers of `sizes` units; biases, if any, start at 0.

    He initialisation (He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", 2015): a standard
    deviation of sqrt(2 / inputs) keeps the size of the activations from layer to layer, since
    ReLU silences half of them.
    """
    matrices = tuple(
        rng.standard_normal((inputs, outputs), dtype=np.float32) * np.float32(np.sqrt(2 / inputs))
        for inputs, outputs in pairwise(sizes)
    )
    zeros = tuple(np.zeros(outputs, np.float32) for outputs in sizes[1:])
    return Weights(matrices, zeros if biases else ())


def fresh_weights(seed: int, hidden_units: int, biases: bool) -> Weights:
    """Return the random float32 weights with which a run of this seed starts, and starts again."""
    sizes = (INPUTS, hidden_units, CLASSES)
    return init_weights(np.random.default_rng([seed]), sizes, biases=biases)


def layer_outputs(weights: Weights, images: Floats) -> list[Floats]:
    """Return what each layer puts out for `images` (B, inputs).

    The k-th item has shape (B, outputs of layer k): after ReLU for all layers but the last, whose
    item holds the logits (B, classes).
    """
    outputs: list[Floats] = []
    signal = images
    for k, matrix in enumerate(weights.matrices):
        signal = signal @ matrix  # (B, inputs of k) @ (inputs of k, outputs of k)
        if weights.biases:
            signal += weights.biases[k]
        if k < len(weights.matrices) - 1:
            zeros = np.zeros(matrix.shape[1], signal.dtype)  # a row: faster than a scalar
            np.maximum(signal, zeros, out=signal)
        outputs.append(signal)
    return outputs


def forward(weights: Weights, images: Floats) -> Floats:
    """Return the logits (B, classes) for `images` (B, inputs)."""
    return layer_outputs(weights, images)[-1]


def log_softmax(logits: Floats) -> Floats:
    """Return the logarithms of the class probabilities (B, classes)."""
    shifted = _shifted(logits)
    shifted -= np.log(np.add.reduce(np.exp(shifted), axis=0))
    return shifted.T


def _shifted(logits: Floats) -> Floats:
    """Return logits (B, classes) by class (classes, B), the highest of each example made 0."""
    shifted: Floats = np.array(logits.T, order="C")  # numpy is fastest along the longer rows
    shifted -= np.maximum.reduce(shifted, axis=0)  # exp of at most 0 cannot overflow
    return shifted


def predict(weights: Weights, images: Floats) -> Floats:
    """Return the class probabilities (B, classes) for `images` (B, inputs); each row sums to 1."""
    exponentials = np.exp(_shifted(forward(weights, images)))  # (classes, B)
    exponentials /= np.add.reduce(exponentials, axis=0)
    return np.ascontiguousarray(exponentials.T)
