"""Images as they come in: numbers in JSON, bare bytes, or a picture file."""

from __future__ import annotations

import io
import struct
import threading
from contextlib import nullcontext
from typing import Any

import numpy as np
import orjson
import simdjson
from PIL import Image, ImageOps, UnidentifiedImageError

from nn.model import IMAGE_SIDE, INPUTS, PIXEL, Floats
from ops.problems import Problem

MAX_IMAGES = 1024
MAX_PICTURE_PIXELS = 16_000_000  # as many as a phone's camera makes; more is a bomb
LARGE_PICTURE_PIXELS = 2_000_000
LARGE_PICTURE_LOCK = threading.Lock()  # one at a time, so that memory is bounded: 150 MB
ENOUGH_SIDE = 560  # pixels: twenty for one of the network's, so that a photo needs little memory
PICTURE_TYPES = {"image/png": "PNG", "image/jpeg": "JPEG"}
BYTES_TYPE = "application/octet-stream"
DTYPES: dict[str, np.dtype[Any]] = {"uint8": np.dtype(np.uint8), "float32": np.dtype("<f4")}
SHAPES = f"{INPUTS} numbers in 0..1, or {IMAGE_SIDE} lists of {IMAGE_SIDE}"
PAPER_IS_BRIGHT = 0.5  # mean brightness of the rim above which a picture is ink on paper
# What Pillow raises for one broken file or another.
UNREADABLE = (OSError, ValueError, SyntaxError, LookupError, EOFError, struct.error)
# A parser keeps its memory, some 15 bytes for each of the longest text so far. For hundreds of
# images that makes it more than twice as fast as a fresh one.
KEPT_PARSER = simdjson.Parser()
KEPT_PARSER_LOCK = threading.Lock()
MAX_KEPT_BYTES = 2 * 2**20  # 256 images of 784 numbers with 4 decimals and then some
# Read as whole numbers, the floats in 0..1 are those up to that of 1: a sign is the highest bit.
ONE_BITS = np.float64(1).view(np.uint64)
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit, which is higher, would only warn


def read_json(body: bytes) -> tuple[Floats, bool]:
    """Return the images (B, 784) in a JSON body, and whether it asked for many.

    Raises Problem with the field, what was wrong with it and what is allowed.
    """
    if len(body) > MAX_KEPT_BYTES:
        plain = _read_plain(simdjson.Parser(), body)
    else:
        with KEPT_PARSER_LOCK:
            plain = _read_plain(KEPT_PARSER, body)
    return _read_closely(body) if plain is None else plain


def _read_plain(parser: simdjson.Parser, body: bytes) -> tuple[Floats, bool] | None:
    """Return what `read_json` does for flat lists of numbers in range; None for any other body.

    The numbers go from the text into one array, without an object for each, which takes a third of
    the time of lists. Whatever is not as expected is left to `_read_closely`.
    """
    try:
        fields: Any = parser.parse(body)
        (name,) = fields.keys()
        lists = fields[name]
        many = name == "images"
        count = len(lists) if many else 1
        numbers = np.frombuffer(lists.as_buffer(of_type="d"))  # float64, flattened
        # As many brackets as lists: no number is in a list of its own.
        flat = body.count(b"[") == count + many and name in ("image", "images")
        even = not many or all(len(numbers) == INPUTS for numbers in lists)
    except (ValueError, TypeError, AttributeError, RuntimeError):  # the last: beyond 64 bits
        return None
    if not (flat and even and 1 <= count <= MAX_IMAGES and len(numbers) == count * INPUTS):
        return None
    if np.maximum.reduce(numbers.view(np.uint64)) > ONE_BITS:
        return None
    return numbers.astype(np.float32).reshape(count, INPUTS), many


def _read_closely(body: bytes) -> tuple[Floats, bool]:
    """Return what `read_json` does, having looked at each number by itself."""
    try:
        fields: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body is not JSON: {error}") from error
    if not isinstance(fields, dict) or set(fields) not in ({"image"}, {"images"}):
        names = sorted(fields) if isinstance(fields, dict) else type(fields).__name__
        raise Problem(
            422, f'the body has {names}; allowed is {{"image": ...}} or {{"images": ...}}'
        )
    if "image" in fields:
        return read_image("image", fields["image"])[None], False
    images = fields["images"]
    if not isinstance(images, list) or not 1 <= len(images) <= MAX_IMAGES:
        count = len(images) if isinstance(images, list) else type(images).__name__
        raise Problem(422, f"images has {count} items; allowed are 1 to {MAX_IMAGES} images")
    return np.stack([read_image(f"images[{k}]", image) for k, image in enumerate(images)]), True


def read_image(name: str, numbers: Any) -> Floats:
    """Return the image (784,) float32 in a list of numbers; `name` is for the error message."""
    if not isinstance(numbers, list):
        raise Problem(422, f"{name} is {_kind(numbers)}; allowed are {SHAPES}")
    nested = len(numbers) == IMAGE_SIDE and all(isinstance(row, list) for row in numbers)
    if nested:
        short = next((k for k, row in enumerate(numbers) if len(row) != IMAGE_SIDE), None)
        if short is not None:
            raise Problem(
                422, f"{name}[{short}] has {len(numbers[short])} numbers; allowed are {SHAPES}"
            )
        numbers = [number for row in numbers for number in row]
    if len(numbers) != INPUTS:
        raise Problem(422, f"{name} has {len(numbers)} items; allowed are {SHAPES}")
    if not set(map(type, numbers)) <= {int, float}:  # bool is its own type here
        wrong = next(k for k, number in enumerate(numbers) if type(number) not in (int, float))
        place, shown = _place(wrong, nested), _kind(numbers[wrong])
        raise Problem(422, f"{name}{place} is {shown}; allowed are {SHAPES}")
    image = np.array(numbers, np.float64)
    outside = np.flatnonzero(~((image >= 0) & (image <= 1)))
    if len(outside):
        wrong = int(outside[0])
        place = _place(wrong, nested)
        raise Problem(422, f"{name}{place} = {numbers[wrong]!r:.40}; allowed are {SHAPES}")
    return image.astype(np.float32)


def _place(index: int, nested: bool) -> str:
    """Return where number `index` of an image stands in what was sent."""
    return f"[{index // IMAGE_SIDE}][{index % IMAGE_SIDE}]" if nested else f"[{index}]"


def read_bytes(body: bytes, dtype: str) -> Floats:
    """Return the images (B, 784) in bare bytes: uint8 0..255, or little-endian float32 in 0..1.

    Raises Problem for another `dtype`, another length, and the first number that is not allowed.
    """
    if dtype not in DTYPES:
        raise Problem(
            415,
            f"the content type says dtype={dtype:.40}; allowed are {BYTES_TYPE}; dtype=uint8 "
            "(the default) and dtype=float32",
        )
    image_bytes = INPUTS * DTYPES[dtype].itemsize
    count, rest = divmod(len(body), image_bytes)
    if rest or not 1 <= count <= MAX_IMAGES:
        raise Problem(
            422,
            f"the body has {len(body):,} bytes; allowed are {image_bytes:,} for each image "
            f"({INPUTS} numbers, dtype={dtype}), 1 to {MAX_IMAGES} images",
        )
    numbers: Floats = np.frombuffer(body, DTYPES[dtype]).reshape(count, INPUTS)
    if dtype == "uint8":
        scaled: Floats = np.multiply(numbers, PIXEL, dtype=np.float32)
        return scaled
    if not (numbers.min() >= 0 and numbers.max() <= 1):  # NaN passes neither
        image, place = np.argwhere(~((numbers >= 0) & (numbers <= 1)))[0]
        raise Problem(
            422,
            f"images[{image}][{place}] = {numbers[image, place]:.9g}; allowed are numbers in 0..1",
        )
    return numbers.astype(np.float32, copy=False)  # a copy only where the machine is big-endian


def read_picture(body: bytes, content_type: str) -> Floats:
    """Return the brightness (height, width) float32 in 0..1 of ink in a PNG or JPEG.

    Dark ink on bright paper is turned round. Raises Problem for what cannot be read.
    """
    kind = PICTURE_TYPES[content_type]
    try:
        picture: Image.Image = Image.open(io.BytesIO(body), formats=[kind])
        pixels = picture.width * picture.height
        if pixels > MAX_PICTURE_PIXELS:
            raise Problem(
                413,
                f"the {kind} has {picture.width} x {picture.height} pixels; allowed are "
                f"{MAX_PICTURE_PIXELS:,} in all",
            )
        with LARGE_PICTURE_LOCK if pixels > LARGE_PICTURE_PIXELS else nullcontext():
            picture = _upright_and_small(picture)
        colours = picture.convert("RGBA")
    except UnidentifiedImageError as error:
        raise Problem(422, f"the body is no {kind}: it starts with {body[:8]!r}") from error
    except UNREADABLE as error:
        raise Problem(422, f"the body is no {kind} that can be read: {error}") from error
    paper = Image.new("RGBA", colours.size, "white")  # under what is transparent
    grey = Image.alpha_composite(paper, colours).convert("L")
    ink = np.asarray(grey, np.float32) / 255
    rim = np.concatenate((ink[0], ink[-1], ink[:, 0], ink[:, -1]))
    if rim.mean() > PAPER_IS_BRIGHT:
        ink, rim = 1 - ink, 1 - rim
    brightness: Floats = np.clip(ink - np.median(rim), 0, 1)  # grey paper is 0, too
    return brightness


def _upright_and_small(picture: Image.Image) -> Image.Image:
    """Return the picture as the phone was held, in 8 bits a colour, made small if it is large."""
    picture.draft(None, (ENOUGH_SIDE, ENOUGH_SIDE))  # a JPEG is decoded at about that size
    has_16_bits = picture.mode.startswith("I")
    if not has_16_bits:
        picture = _small(picture)
    picture = ImageOps.exif_transpose(picture)
    if has_16_bits:  # of grey, which convert() would cut off at 255
        picture = _small(Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)))
    return picture


def _small(picture: Image.Image) -> Image.Image:
    """Return the picture with some ENOUGH_SIDE pixels on its longer side, if it has many more."""
    times = max(picture.size) // ENOUGH_SIDE
    if times < 2:
        return picture
    if picture.mode not in ("L", "LA", "RGB", "RGBA"):  # a palette has no means
        picture = picture.convert("RGBA")
    return picture.reduce(times)


def _kind(value: Any) -> str:
    shown = orjson.dumps(value).decode()
    return shown if len(shown) <= 40 else f"{type(value).__name__} {shown[:40]}..."
