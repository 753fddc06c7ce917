"""The formats: what goes out comes in again, and whatever else comes in is refused."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from nn.model import Weights, init_weights, predict
from ops.problems import Problem
from services.weights.formats import (
    MAX_JSON_NUMBERS,
    MEDIA_TYPES,
    Format,
    check_fit,
    decode,
    encode,
    format_of,
)
from services.weights.npz import MAX_UNPACKED_BYTES
from wire.codec import MalformedError
from wire.messages import Snapshot, WeightsInfo

Array = NDArray[Any]
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
BIASED = (2, 3, 2)


def snapshot(weights: Weights) -> Snapshot:
    return Snapshot(weights, WeightsInfo(7, 42, "upload"))


@st.composite
def networks(draw: st.DrawFn) -> Weights:
    sizes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    weights = init_weights(np.random.default_rng(0), sizes, biases=draw(st.booleans()))
    for array in weights.arrays:
        numbers = draw(st.lists(FINITE, min_size=array.size, max_size=array.size))
        array[...] = np.array(numbers, np.float32).reshape(array.shape)
    return weights


def small(*, biases: bool = False) -> Weights:
    return init_weights(np.random.default_rng(1), BIASED, biases=biases)


def refusal(body: bytes, kind: Format) -> str:
    """Return why `body` is refused."""
    with pytest.raises(MalformedError) as caught:
        decode(body, kind)
    return str(caught.value)


# --- all formats --------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", Format)
@settings(max_examples=60, deadline=None)
@given(networks())
def test_what_goes_out_comes_in_to_the_bit(kind: Format, weights: Weights) -> None:
    back = decode(encode(snapshot(weights), kind), kind)
    assert back.sizes == weights.sizes
    for before, after in zip(weights.arrays, back.arrays, strict=True):
        assert after.dtype == np.float32
        if kind is not Format.JSON:
            assert before.tobytes() == after.tobytes()
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("kind", [Format.SAFETENSORS, Format.NPZ, Format.ONNX])
@pytest.mark.parametrize("biases", [False, True])
def test_every_truncation_is_refused(kind: Format, biases: bool) -> None:
    whole = encode(snapshot(small(biases=biases)), kind)
    for length in range(len(whole)):
        try:
            decode(whole[:length], kind)
        except MalformedError:
            continue
        # A model whose last fields, its metadata, are cut off between two fields is whole enough.
        assert kind is Format.ONNX


@pytest.mark.parametrize("kind", Format)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_bytes_that_were_tampered_with_never_crash(kind: Format, data: st.DataObject) -> None:
    body = bytearray(encode(snapshot(small(biases=True)), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    try:
        weights = decode(bytes(body), kind)
    except (MalformedError, Problem):
        return
    assert all(np.isfinite(array).all() for array in weights.arrays)


@pytest.mark.parametrize("kind", Format)
@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_refused(kind: Format, body: bytes) -> None:
    with pytest.raises((MalformedError, Problem)):
        decode(body, kind)


# --- JSON ---------------------------------------------------------------------------------------
def test_json_has_the_original_shape() -> None:
    assert json.loads(encode(snapshot(small()), Format.JSON)).keys() == {"weights"}
    with_biases = json.loads(encode(snapshot(small(biases=True)), Format.JSON))
    assert [len(bias) for bias in with_biases["biases"]] == [3, 2]


def test_a_bare_list_of_matrices_is_taken() -> None:
    weights = decode(b"[[[1, 2], [3, 4.5]], [[5], [6]]]", Format.JSON)
    np.testing.assert_array_equal(weights.matrices[0], [[1, 2], [3, 4.5]])
    np.testing.assert_array_equal(weights.matrices[1], [[5], [6]])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"weights": [[[1, 2], [3]]]}', "row 1 of w1 has 1 numbers, but row 0 has 2"),
        (b'{"weights": [[[1, "x"]]]}', "Expected `float`, got `str` - at `$.weights[0][0][1]`"),
        (b'{"weights": [[[1, null]]]}', "got `null` - at `$.weights[0][0][1]`"),
        (b'{"weights": [[[true]]]}', "got `bool` - at `$.weights[0][0][0]`"),
        (b'{"weights": [[[[1]]]]}', "Expected `float`, got `array`"),
        (b'{"weights": [[1, 2]]}', "Expected `array`, got `int` - at `$.weights[0][0]`"),
        (b'{"weights": [[[1e999]]]}', "Number out of range - at `$.weights[0][0][0]`"),
        (b'{"weights": [[[1, 2e39]]]}', "w1[0, 1] is inf: only finite numbers are allowed"),
        (b'{"weights": []}', "a network needs at least one matrix"),
        (b'{"weights": [[]]}', "a matrix has two dimensions, not shape (0,)"),
        (b'{"weights": [[[1, 2]], [[1]]]}', "shapes (1, 2) and (1, 1) do not chain"),
        (b'{"weights": [[[1]]], "biases": [[1, 2]]}', "biases of shapes [(2,)] do not fit"),
        (b'{"weights": [[[1]]], "extra": 1}', "unknown field `extra`"),
        (b'{"biases": [[1]]}', "missing required field `weights`"),
        (b'"weights"', "Expected `object | array`, got `str`"),
        (b"[" * 5000, "Expected `float`, got `array`"),
        (b'{"weights":' + b"[" * 5000, "Expected `float`, got `array`"),
        (b"[[" + b"[]," * 30_000 + b"[]]]", "JSON with 30,003 lists; allowed are 20,000"),
        (
            b"[[[" + b"0," * (MAX_JSON_NUMBERS + 1) + b"0]]]",
            "JSON with 1,000,001 numbers; allowed are 1,000,000: send safetensors instead",
        ),
    ],
)
def test_json_that_is_no_network(body: bytes, reason: str) -> None:
    assert reason in refusal(body, Format.JSON)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"weights": [[[NaN]]]}', b"[[[1],]]"])
def test_what_is_not_json(body: bytes) -> None:
    with pytest.raises(Problem, match="the body is not JSON: ") as caught:
        decode(body, Format.JSON)
    assert caught.value.status == 400


# --- safetensors --------------------------------------------------------------------------------
def test_safetensors_with_a_header_that_lies() -> None:
    header = json.dumps({"w1": {"dtype": "F32", "shape": [9, 9], "data_offsets": [0, 4]}}).encode()
    body = struct.pack("<Q", len(header)) + header + bytes(4)
    assert "no safetensors" in refusal(body, Format.SAFETENSORS)
    assert "no safetensors" in refusal(struct.pack("<Q", 2**60) + b"{}", Format.SAFETENSORS)


# --- npz ----------------------------------------------------------------------------------------
def npz(*unnamed: Array, compressed: bool = False, **named: Array) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, *unnamed, **named)  # type: ignore[arg-type]
    return file.getvalue()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """Return an npy file whose header says what the test wants."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + content


W1, W2 = np.ones((2, 3), np.float32), np.ones((3, 2), np.float32)


def test_npz_without_names_in_the_order_of_its_arrays() -> None:
    weights = decode(npz(W1, W2 * 2, compressed=True), Format.NPZ)
    np.testing.assert_array_equal(weights.matrices[1], W2 * 2)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", "<i4", "|u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npz_of_other_numbers_becomes_float32(dtype: str, order: Any) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype, order=order)
    weights = decode(npz(w1=array), Format.NPZ)
    assert weights.matrices[0].dtype == np.float32
    assert weights.matrices[0].flags.c_contiguous
    np.testing.assert_array_equal(weights.matrices[0], [[0, 1, 2], [3, 4, 5]])


class Trap:
    """Whoever unpickles this is told so."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return pytest.fail, ("a pickle was loaded",)


def test_npz_is_never_unpickled() -> None:
    trap = np.empty((1, 1), object)
    trap[0, 0] = Trap()
    body = npz(w1=trap)
    with pytest.raises(pytest.fail.Exception), np.load(io.BytesIO(body), allow_pickle=True) as file:
        file["w1"]  # the trap works
    assert "holds object; allowed are plain numbers, and nothing that is pickled" in refusal(
        body, Format.NPZ
    )


def test_npz_bomb_is_refused_by_its_directory() -> None:
    body = zipped({"w1.npy": bytes(MAX_UNPACKED_BYTES + 1)}, zipfile.ZIP_DEFLATED)
    assert len(body) < 100_000
    assert "unpacks to 64,000,001 bytes; allowed are 64,000,000" in refusal(body, Format.NPZ)


def test_npz_bomb_whose_directory_lies_is_cut_off() -> None:
    body = zipped({"w1.npy": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    lie = body.replace(struct.pack("<L", 10_000_000), struct.pack("<L", 100))
    assert "no npz file" in refusal(lie, Format.NPZ)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, "arrays none are not w1, w2"),
        ({"w1.npy": b"text"}, "no npz file: EOF"),
        ({"w1.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999, 99999), }")},
         "promises 39999200004 bytes of numbers and has 0"),
        ({"w1.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 1), }", b"1234")},
         "promises -4 bytes"),
        ({"w1.npy": npy("-" * 9000 + "1")}, "no npz file"),
        ({"w1.npy": npy("(" * 9000)}, "no npz file"),
        ({"w1.npy": npy("{'descr': '<f4'}")}, "no npz file: Header does not contain"),
        ({"w1.npy": npy("", b"", b"\x09\x00")}, "of an unknown npy version"),
        ({"w1.npy": npy("{'descr': '<U1', 'fortran_order': False, 'shape': (1, 1), }", b"1234")},
         "holds <U1; allowed are plain numbers"),
        ({f"w{k}.npy": b"" for k in range(40)}, "an npz file of 40 arrays; allowed are 32"),
    ],
)  # fmt: skip
def test_npz_that_holds_something_else(members: dict[str, bytes], reason: str) -> None:
    assert reason in refusal(zipped(members), Format.NPZ)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (npz(w1=W1, w3=W2), "arrays w1, w3 are not w1, w2"),
        (npz(w1=W1, b2=W2), "arrays b2, w1 are not w1, w2"),
        (npz(w1=np.full((2, 2), np.nan)), "w1[0, 0] is nan: only finite numbers are allowed"),
        (npz(w1=np.ones(3)), "a matrix has two dimensions, not shape (3,)"),
        (npz(w1=np.ones((2, 2), complex)), "holds complex128; allowed are plain numbers"),
        (npz(w1=W1, w2=W1), "shapes (2, 3) and (2, 3) do not chain"),
        (zipped({"w1.npy": b"x" * 50}, zipfile.ZIP_BZIP2), "is encrypted or packed in a rare way"),
        (b"PK\x03\x04 and no more", "no npz file: File is not a zip file"),
    ],
)
def test_npz_that_is_no_network(body: bytes, reason: str) -> None:
    assert reason in refusal(body, Format.NPZ)


# --- ONNX ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("biases", [False, True])
def test_onnx_computes_what_the_network_computes(biases: bool) -> None:
    rng = np.random.default_rng(3)
    weights = init_weights(rng, (784, 128, 10), biases=biases)
    for bias in weights.biases:
        bias += rng.standard_normal(bias.shape, dtype=np.float32)
    model = onnx.load_model_from_string(encode(snapshot(weights), Format.ONNX))
    onnx.checker.check_model(model, full_check=True)
    images = rng.random((5, 784), dtype=np.float32)
    probabilities: Any
    (probabilities,) = ReferenceEvaluator(model).run(["probabilities"], {"image": images})
    np.testing.assert_allclose(probabilities, predict(weights, images), rtol=1e-4, atol=1e-6)
    assert {p.key: p.value for p in model.metadata_props} == {"version": "7", "iteration": "42"}


def model_of(nodes: list[Any], tensors: dict[str, Array] | list[TensorProto]) -> bytes:
    initializers = (
        [numpy_helper.from_array(array, name) for name, array in tensors.items()]
        if isinstance(tensors, dict)
        else tensors
    )
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
        initializers,
    )
    return bytes(helper.make_model(graph).SerializeToString())


def node(kind: str, inputs: str, output: str, **options: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], **options)


def test_onnx_as_other_programs_write_it() -> None:
    """As PyTorch writes nn.Sequential(Flatten, Linear, ReLU, Linear, LogSoftmax)."""
    nodes = [
        node("Flatten", "x", "flat"),
        node("Gemm", "flat a c", "1", transB=1, alpha=1.0, beta=1.0),
        node("Relu", "1", "2"),
        node("MatMul", "2 b", "3"),
        node("Add", "d 3", "4"),
        node("LogSoftmax", "4", "y"),
    ]
    tensors: dict[str, Array] = {
        "a": W1.T * 2,
        "b": W2.astype(np.float64),
        "c": np.arange(3.0),
        "d": np.ones((1, 2)),
    }
    weights = decode(model_of(nodes, tensors), Format.ONNX)
    np.testing.assert_array_equal(weights.matrices[0], W1 * 2)
    np.testing.assert_array_equal(weights.biases[0], [0, 1, 2])
    np.testing.assert_array_equal(weights.biases[1], [1, 1])


def elsewhere() -> TensorProto:
    tensor = TensorProto(name="a", data_type=TensorProto.FLOAT, dims=[2, 2])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


DENSE = node("MatMul", "x a", "y")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "a model that does nothing"),
        (b"\x08", "no ONNX model that can be read"),
        (model_of([DENSE], {}), "w1 ('a') is not among the model's initializers"),
        (model_of([node("Conv", "x a", "y")], {"a": W1}), "the operation 'Conv'; allowed are Gemm"),
        (model_of([node("MatMul", "z a", "y")], {"a": W1}), "'MatMul' that does not continue"),
        (model_of([node("Add", "x x", "y")], {}), "b1 ('') is not among"),
        (model_of([DENSE, node("MatMul", "y b", "z")], {"a": W1, "b": W2}),
         "a model that does layer, layer; allowed are layers"),
        (model_of([node("Gemm", "x a", "y", alpha=2.0)], {"a": W1}), "a Gemm with alpha, beta"),
        (model_of([node("Gemm", "x a", "y", transA=1)], {"a": W1}), "allowed is transB"),
        (model_of([DENSE], {"a": np.full((2, 2), np.inf)}), "w1[0, 0] is inf"),
        (model_of([DENSE], {"a": np.ones((2, 2), np.int64)}), "w1 does not hold float16, float32"),
        (model_of([DENSE], [elsewhere()]), "w1 is in another file"),
        (model_of([DENSE], [TensorProto(name="a", data_type=1, dims=[2**40, 2**40])]),
         "w1 has the shape [1099511627776, 1099511627776]"),
        (model_of([DENSE], [TensorProto(name="a", data_type=1, dims=[-1, 2], raw_data=b"1234")]),
         "w1 has the shape [-1, 2]"),
        (model_of([DENSE], [TensorProto(name="a", data_type=1, dims=[9, 9], raw_data=b"1234")]),
         "no ONNX model that can be read: cannot reshape"),
        (model_of([node("Relu", "x", "x")] * 101, {}), "a model of 101 nodes; 100 allowed"),
        (model_of([DENSE, node("Relu", "y", "z"), node("Gemm", "z b c", "w")],
                  {"a": W1, "b": W2, "c": np.ones(2)}), "do not fit"),
    ],
)  # fmt: skip
def test_onnx_that_is_no_such_network(body: bytes, reason: str) -> None:
    assert reason in refusal(body, Format.ONNX)


# --- which format, and what fits ----------------------------------------------------------------
@pytest.mark.parametrize("kind", Format)
@pytest.mark.parametrize(
    "content_type", [None, "application/octet-stream", "APPLICATION/Octet-Stream"]
)
def test_bytes_of_no_named_type_are_recognised(kind: Format, content_type: str | None) -> None:
    assert format_of(content_type, encode(snapshot(small()), kind)) is kind


@pytest.mark.parametrize("kind", Format)
def test_the_content_type_names_the_format(kind: Format) -> None:
    assert format_of(f"{MEDIA_TYPES[kind].upper()}; charset=utf-8", b"") is kind


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_types_that_are_not_taken(content_type: str | None) -> None:
    with pytest.raises(Problem, match="allowed are application/json, ") as caught:
        format_of(content_type, b"???")
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("given_sizes", "biases", "reason"),
    [
        ((784, 64, 10), False, "w1 is 784 x 64; allowed is 784 x 128"),
        ((784, 128, 9), False, "w2 is 128 x 9; allowed is 128 x 10"),
        ((784, 10), False, "w1 is 784 x 10; allowed is 784 x 128"),
        ((784, 128, 10, 10), False, "given are w1, w2, w3; allowed are w1, w2"),
        ((784, 128, 10), True, "given are w1, w2, b1, b2; allowed are w1, w2"),
    ],
)
def test_weights_that_do_not_fit_the_run(
    given_sizes: tuple[int, ...], biases: bool, reason: str
) -> None:
    rng = np.random.default_rng(0)
    wanted = init_weights(rng, (784, 128, 10))
    with pytest.raises(MalformedError) as caught:
        check_fit(init_weights(rng, given_sizes, biases=biases), wanted)
    assert str(caught.value) == reason
    check_fit(init_weights(rng, (784, 128, 10)), wanted)
