"""Weights as an npz file: a zip of numpy arrays, read without ever unpickling."""

from __future__ import annotations

import io
import math
import re
import tokenize
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nn.model import Weights
from wire.codec import MAX_PARAMETERS, MalformedError, chained, checked_array

MAX_ARRAYS = 32
MAX_UNPACKED_BYTES = 4 * MAX_PARAMETERS
_ENCRYPTED = 0x1  # a flag in the zip's directory
_PLAIN_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNNAMED = re.compile(r"arr_(\d{1,2})")


def encode_npz(weights: Weights) -> bytes:
    """Return an npz file with arrays w1, w2, ... and, if any, b1, b2, ..."""
    arrays = {f"w{k}": matrix for k, matrix in enumerate(weights.matrices, 1)}
    arrays |= {f"b{k}": bias for k, bias in enumerate(weights.biases, 1)}
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def decode_npz(body: bytes) -> Weights:
    """Return the weights in an npz file with arrays w1, w2, ... (b1, b2, ...) or arr_0, arr_1, ...

    Raises MalformedError for whatever else, before it unpacks more than MAX_UNPACKED_BYTES.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = _checked_directory(archive)
            arrays = {_array_name(m): _read_array(archive, m) for m in members}
    # What zipfile and numpy raise for bytes that somebody has tampered with.
    except (
        zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, KeyError, IndexError,
        NotImplementedError, RuntimeError, OverflowError, MemoryError, TypeError, SyntaxError,
        tokenize.TokenError,
    ) as error:  # fmt: skip
        if isinstance(error, MalformedError):
            raise
        raise MalformedError(f"no npz file: {error}") from error
    return _network(arrays)


def _checked_directory(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the members; the sizes in the directory bound what reading them unpacks."""
    members = archive.infolist()
    if len(members) > MAX_ARRAYS:
        raise MalformedError(f"an npz file of {len(members)} arrays; allowed are {MAX_ARRAYS}")
    size = sum(member.file_size for member in members)
    if size > MAX_UNPACKED_BYTES:
        raise MalformedError(
            f"an npz file that unpacks to {size:,} bytes; allowed are {MAX_UNPACKED_BYTES:,}"
        )
    for member in members:
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _PLAIN_METHODS:
            raise MalformedError(f"{member.filename!r:.60} is encrypted or packed in a rare way")
    return members


def _array_name(member: zipfile.ZipInfo) -> str:
    """Return w1 for w1.npy, and for arr_0.npy as well."""
    name = member.filename.removesuffix(".npy")
    unnamed = _UNNAMED.fullmatch(name)
    return f"w{int(unnamed[1]) + 1}" if unnamed else name


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """Return one array, after its header was found to promise no more than there is."""
    file = io.BytesIO(archive.read(member))
    header = {
        (1, 0): npy.read_array_header_1_0,
        (2, 0): npy.read_array_header_2_0,
    }.get(npy.read_magic(file))
    if header is None:
        raise MalformedError(f"{member.filename!r:.60} is of an unknown npy version")
    shape, _, dtype = header(file)
    if dtype.kind not in "fiu":
        raise MalformedError(
            f"{member.filename!r:.60} holds {str(dtype)[:40]}; allowed are plain numbers, "
            "and nothing that is pickled"
        )
    promised, there = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
    if min(shape, default=0) < 0 or promised != there:
        raise MalformedError(
            f"{member.filename!r:.60} promises {promised} bytes of numbers and has {there}"
        )
    file.seek(0)
    array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
    return array


def _network(arrays: dict[str, NDArray[Any]]) -> Weights:
    layers = sum(name.startswith("w") for name in arrays)
    names = [f"{kind}{k}" for kind in "wb" for k in range(1, layers + 1)]
    if not layers or set(arrays) not in (set(names), set(names[:layers])):
        raise MalformedError(
            f"arrays {', '.join(sorted(arrays))[:200] or 'none'} are not w1, w2, ... with or "
            "without b1, b2, ..., nor arr_0, arr_1, ..."
        )
    ordered = [np.ascontiguousarray(checked_array(n, arrays[n])) for n in names if n in arrays]
    return chained(tuple(ordered[:layers]), tuple(ordered[layers:]))
