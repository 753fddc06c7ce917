"""The published data sets in MNIST's format: where they can be had, and how to tell them."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A data set that anybody can fetch; SHA-256 by file name, of one form or the other."""

    name: str
    title: str
    mirrors: tuple[str, ...]
    unpacked: Mapping[str, str]
    packed: Mapping[str, str]

    def is_this(self, unpacked: Mapping[str, str], packed: Mapping[str, str]) -> bool:
        """Tell whether files with these SHA-256 are this data set."""
        return all(self.has(name, unpacked[name], packed[name]) for name in unpacked)

    def has(self, name: str, unpacked: str, packed: str) -> bool:
        """Tell whether the file with these SHA-256 is this data set's `name`."""
        if self.unpacked:
            return self.unpacked[name] == unpacked
        return self.packed[name] == packed


MNIST = Published(
    name="mnist",
    title="MNIST",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    unpacked={
        "train-images-idx3-ubyte": (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train-labels-idx1-ubyte": (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        "t10k-images-idx3-ubyte": (
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        "t10k-labels-idx1-ubyte": (
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ),
    },
    packed={},
)
# Its makers publish sums of the packed files only.
FASHION_MNIST = Published(
    name="fashion-mnist",
    title="Fashion-MNIST",
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    unpacked={},
    packed={
        "train-images-idx3-ubyte": (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        "train-labels-idx1-ubyte": (
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        "t10k-images-idx3-ubyte": (
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        "t10k-labels-idx1-ubyte": (
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
        ),
    },
)
PUBLISHED = {published.name: published for published in (MNIST, FASHION_MNIST)}
