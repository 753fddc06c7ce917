"""Put the synthetic digits, drawn by the program, into the cache."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from services.data import cache, idx, synthetic
from services.data.idx import FILES

SYNTHETIC = "synthetic"
PROGRESS_STEPS = 10


@dataclass(frozen=True)
class Drawing:
    """Which digits `synthetic` is."""

    seed: int = 0
    train_count: int = 60_000
    test_count: int = 10_000

    @property
    def sources(self) -> dict[str, str]:
        """What tells this drawing from another, also from one by another version of the program."""
        counts = f"{self.train_count} and {self.test_count}"
        return {"digits": f"{counts} of seed {self.seed}", "style": synthetic.STYLE}


FULL_DRAWING = Drawing()
# SHA-256 of what FULL_DRAWING gives, on every machine.
DRAWN_SHA256 = {
    "train-images-idx3-ubyte": ("ab96d281e863eb0820554d684eebcac9126c2302f23fdc2274a3f64a2c13d691"),
    "train-labels-idx1-ubyte": ("ab27ae2a72e5d54b3880fe40066df96065b9c0854496c4e6d59e6f903152b686"),
    "t10k-images-idx3-ubyte": ("fd1fa04ecf8ceaf1b2f34dc60d30045a447d7c1eb6995b300b046016f9d36961"),
    "t10k-labels-idx1-ubyte": ("a00f21b9d5c39565085993a188c162b92ebcfd39859e0e5e9dd2910b0ce5a824"),
}


def store_drawn(drawing: Drawing, cache_dir: Path, progress: Callable[[str], None]) -> None:
    """Draw the digits into the cache; needs the lock for itself."""
    with cache.staging(cache_dir) as staged:
        files = _write(staged, "train", drawing.seed, drawing.train_count, progress)
        files |= _write(staged, "test", drawing.seed, drawing.test_count, progress)
        if drawing == FULL_DRAWING and files != DRAWN_SHA256:
            progress("Warning: the digits drawn here differ from those that other machines draw")
        cache.store(staged, SYNTHETIC, cache.Manifest(files, drawing.sources))


def _write(
    folder: Path, split: str, seed: int, count: int, progress: Callable[[str], None]
) -> dict[str, str]:
    """Write the two files of a split and return their SHA-256."""
    images, labels = FILES[split]
    drawn_labels: list[npt.NDArray[np.uint8]] = []

    def pieces() -> Iterator[npt.NDArray[np.uint8]]:
        told = drawn = 0
        for chunk_images, chunk_labels in synthetic.draw(seed, list(FILES).index(split), count):
            drawn_labels.append(chunk_labels)
            yield chunk_images
            drawn += len(chunk_labels)
            if drawn * PROGRESS_STEPS // count > told:
                told = drawn * PROGRESS_STEPS // count
                progress(f"Drawing {count} digits to {split} with: {100 * drawn // count} %")

    return {
        images: idx.write(folder / images, count, pieces()),
        labels: idx.write(folder / labels, count, drawn_labels),
    }
