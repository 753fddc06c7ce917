"""Weights as an ONNX model: images (N, 784) in, probabilities (N, 10) out."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from nn.model import Weights
from wire.codec import MAX_PARAMETERS, MalformedError, chained, checked_array
from wire.messages import Snapshot

INPUT, OUTPUT = "image", "probabilities"
# Old enough for every runtime of the last years.
OPSET_VERSION = 17
IR_VERSION = 8
MAX_NODES = 100

_NUMBERS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
_PASSING = ("Flatten", "Reshape", "Identity")  # they do not change the numbers of (N, 784)
_ACTIVATIONS = ("Relu", "Softmax", "LogSoftmax", "Exp")
_NETWORK = re.compile(r"layer( Add)?( Relu layer( Add)?)*( Softmax| LogSoftmax( Exp)?)?")


def encode_onnx(snapshot: Snapshot) -> bytes:
    """Return an ONNX file; its metadata say which version and iteration the weights are of."""
    weights = snapshot.weights
    nodes: list[NodeProto] = []
    signal = INPUT
    for k in range(1, len(weights.matrices) + 1):
        if k > 1:
            nodes.append(helper.make_node("Relu", [signal], [f"hidden{k - 1}"]))
            signal = f"hidden{k - 1}"
        inputs = [signal, f"w{k}"] + [f"b{k}"] * bool(weights.biases)
        signal = f"sum{k}"
        nodes.append(helper.make_node("Gemm" if weights.biases else "MatMul", inputs, [signal]))
    nodes.append(helper.make_node("Softmax", [signal], [OUTPUT], axis=1))
    arrays = {f"w{k}": matrix for k, matrix in enumerate(weights.matrices, 1)}
    arrays |= {f"b{k}": bias for k, bias in enumerate(weights.biases, 1)}
    graph = helper.make_graph(
        nodes,
        "inkling",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", weights.sizes[0]])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", weights.sizes[-1]])],
        [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in arrays.items()],
    )
    model = helper.make_model(
        graph,
        producer_name="inkling",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET_VERSION)],
    )
    info = snapshot.info
    helper.set_model_props(model, {"version": f"{info.version}", "iteration": f"{info.iteration}"})
    return bytes(model.SerializeToString())


def decode_onnx(body: bytes) -> Weights:
    """Return the weights of an ONNX model that is a chain of layers with ReLU between them.

    Raises MalformedError for any other model, and for one that keeps its numbers elsewhere.
    """
    try:
        layers = _Layers(onnx.load_model_from_string(body).graph)
    except (DecodeError, ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        if isinstance(error, MalformedError):
            raise
        raise MalformedError(f"no ONNX model that can be read: {error}") from error
    return chained(
        tuple(np.ascontiguousarray(array) for array in layers.matrices),
        tuple(np.ascontiguousarray(array) for array in layers.biases),
    )


@dataclass
class _Layers:
    """The layers of a graph, found by walking from its input to its output."""

    graph: GraphProto
    matrices: list[NDArray[Any]] = field(default_factory=list)
    biases: list[NDArray[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.graph.node) > MAX_NODES:
            raise MalformedError(f"a model of {len(self.graph.node)} nodes; {MAX_NODES} allowed")
        self._tensors = {tensor.name: tensor for tensor in self.graph.initializer}
        signal = next((i.name for i in self.graph.input if i.name not in self._tensors), "")
        steps = []
        for node in self.graph.node:
            steps += self._step(node, signal)
            signal = node.output[0]
        if not _NETWORK.fullmatch(" ".join(steps)):
            raise MalformedError(
                f"a model that does {', '.join(steps)[:200] or 'nothing'}; allowed are layers "
                "(Gemm or MatMul) with Relu between them, and a Softmax or LogSoftmax at the end"
            )

    def _step(self, node: NodeProto, signal: str) -> list[str]:
        """Take in one node that continues `signal`; return what it does, as a word."""
        kind = node.op_type
        if signal not in node.input[: 2 if kind == "Add" else 1]:
            raise MalformedError(f"a node {kind!r:.40} that does not continue the one before it")
        if kind in _PASSING and not self.matrices:
            return []
        if kind == "Add":  # the biases of the MatMul before it
            other = next((name for name in node.input if name != signal), "")
            self.biases.append(self._tensor(other, "b").reshape(-1))
            return ["Add"]
        if kind in ("Gemm", "MatMul"):
            self._layer(node)
            return ["layer"]
        if kind in _ACTIVATIONS:
            return [kind]
        raise MalformedError(
            f"a model with the operation {kind!r:.40}; allowed are Gemm, MatMul, Add, Relu, "
            "Softmax, LogSoftmax, and Flatten at the beginning"
        )

    def _layer(self, node: NodeProto) -> None:
        options = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        if options.get("alpha", 1) != 1 or options.get("beta", 1) != 1 or options.get("transA"):
            raise MalformedError("a Gemm with alpha, beta or transA; allowed is transB")
        matrix = self._tensor(node.input[1], "w")
        self.matrices.append(matrix.T if options.get("transB") else matrix)
        if len(node.input) > 2:
            self.biases.append(self._tensor(node.input[2], "b").reshape(-1))

    def _tensor(self, name: str, letter: str) -> NDArray[Any]:
        """Return the numbers of an initializer; `letter` names it in error messages."""
        tensor = self._tensors.get(name)
        label = f"{letter}{len(self.biases if letter == 'b' else self.matrices) + 1}"
        if tensor is None:
            raise MalformedError(f"{label} ({name!r:.40}) is not among the model's initializers")
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise MalformedError(f"{label} is in another file; allowed is one file with everything")
        if tensor.data_type not in _NUMBERS:
            raise MalformedError(f"{label} does not hold float16, float32 or float64 numbers")
        if min(tensor.dims, default=0) < 0 or math.prod(tensor.dims) > MAX_PARAMETERS:
            raise MalformedError(f"{label} has the shape {list(tensor.dims)[:8]}")
        return checked_array(label, numpy_helper.to_array(tensor))
