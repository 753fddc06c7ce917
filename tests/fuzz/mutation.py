"""Inputs that are wrong: made of valid ones, the same for the same seed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from typing import Any

# What stands where something else belongs.
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, -0.0, 1e308, float("nan"), float("inf"), float("-inf"),
    10**9, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400,
    "", "0", "x", "\0", "ü" * 300, "\U0001f600", "../../etc/passwd", "<script>", "a" * 5000,
    [], [[]], [None], ["x"] * 50, [[[[[[[[1]]]]]]]], {}, {"": {}}, {"type": "Stop"}, {"$ref": "#"},
)  # fmt: skip
# Bytes at which readers go astray: ends of text, brackets, signs, no UTF-8, large lengths.
MARKS = (
    b"\0", b"\n", b"\r\n", b'"', b"\\", b"[", b"]" * 9, b"{", b"}", b",", b":", b"-", b"e", b"\x7f",
    b"\x80", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xff" * 4, b"\xff" * 8, b"\0" * 8,
    b"99999999999999999999", b"NaN", b"null", b"\\ud800", b"\x80\0\0\0",
)  # fmt: skip


class Mutation:
    """Changes valid inputs at random places."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def data(self, valid: bytes, *, first: int | None = None) -> bytes:
        """Return `valid` changed in 1 to 4 places, all among its `first` bytes if that is given."""
        changed = bytearray(valid)
        for _ in range(self.rng.randint(1, 4)):
            self._change(changed, min(len(changed), first or len(changed)))
        return bytes(changed)

    def _change(self, data: bytearray, end: int) -> None:
        rng = self.rng
        at = rng.randint(0, end)
        match rng.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at:at] = rng.choice(MARKS)
            case 2:
                mark = rng.choice(MARKS)
                data[at : at + len(mark)] = mark
            case 3:
                del data[at : at + rng.choice((1, 2, 8, 100))]
            case 4:
                del data[at:]
            case 5:
                data[at:at] = data[at : at + rng.choice((1, 8, 64))]
            case _:
                data += rng.randbytes(rng.choice((1, 8, 100)))

    def value(self, valid: Any) -> Any:
        """Return `valid`, which JSON can say, with a node of it replaced, left out or added."""
        root = [copy.deepcopy(valid)]
        holder, place = self._node(root)
        match self.rng.randrange(4):
            case 0 if holder is not root:
                del holder[place]
            case 1 if isinstance(holder[place], dict):
                holder[place][self.rng.choice(("", "x", "type", "\0", "weights"))] = self.hostile()
            case 2 if isinstance(holder[place], list):
                holder[place].insert(self.rng.randint(0, len(holder[place])), self.hostile())
            case _:
                holder[place] = self.hostile()
        return root[0]

    def _node(self, root: list[Any]) -> tuple[Any, Any]:
        """Return a random node as what holds it and its key or index there."""
        holder: Any = root
        place: Any = 0
        while isinstance(inner := holder[place], list | dict) and inner and self.rng.random() < 0.7:
            holder = inner
            keys = list(inner) if isinstance(inner, dict) else range(len(inner))
            place = self.rng.choice(keys)
        return holder, place

    def hostile(self) -> Any:
        """Return a value that hardly anything allows."""
        return copy.deepcopy(self.rng.choice(HOSTILE))

    def text(self, valid: Any) -> bytes:
        """Return `valid` as JSON that is wrong in its values, its syntax or its encoding."""
        kind = self.rng.randrange(10)
        if kind == 0:
            return self.deep(self.rng.choice((100, 250, 1000, 20_000)))
        text = json.dumps(valid if kind < 3 else self.value(valid)).encode()
        return self.data(text) if kind < 5 else text

    def deep(self, levels: int) -> bytes:
        """Return JSON that is nested so deep."""
        opening = self.rng.choice((b"[", b'{"a":', b'{"type":[', b'{"weights":['))
        closing = self.rng.choice((b"", b"]" * levels, b"}" * levels))
        return opening * levels + self.rng.choice((b"", b"1", b"null")) + closing

    def noise(self, most: int = 300) -> bytes:
        """Return any bytes."""
        return self.rng.randbytes(self.rng.randint(0, most))

    def choice(self, options: Sequence[Any]) -> Any:
        """Return one of `options`."""
        return self.rng.choice(options)
