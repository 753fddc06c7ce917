"""The same network behind LitServe: `python -m bench.peers.litserve_server PORT QUEUE`.

In the environment of the peers, as LitServe's documentation has it: decode, predict, encode; one
worker on the CPU. With QUEUE `fast`, requests go to the worker over ZeroMQ; with `plain`, over a
multiprocessing queue. (Annotations are read by LitServe, so they are no strings here.)
"""

import sys
from typing import Any

import litserve
import numpy as np

from nn.model import Floats, Weights, fresh_weights, predict


class Digits(litserve.LitAPI):  # type: ignore[misc]  # untyped there
    """Which digit is it?"""

    def setup(self, device: str) -> None:
        """Make the weights, in the worker."""
        self.network: Weights = fresh_weights(0, 128, biases=False)

    def decode_request(self, request: dict[str, Any]) -> Floats:
        """Return the image (1, 784)."""
        return np.array(request["image"], np.float32)[None]

    def predict(self, x: Floats) -> Floats:
        """Return the probabilities (1, 10)."""
        return predict(self.network, x)

    def encode_response(self, output: Floats) -> dict[str, Any]:
        """Return what is answered."""
        return {"digit": int(output.argmax()), "probabilities": output[0].tolist()}


if __name__ == "__main__":
    fast = {"fast": True, "plain": False}[sys.argv[2]]
    server = litserve.LitServer(
        Digits(), accelerator="cpu", devices=1, workers_per_device=1, fast_queue=fast
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), log_level="error", generate_client_file=False
    )
