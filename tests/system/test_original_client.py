"""The REST calls of the program that Inkling re-imagines, as its own client makes them."""

from __future__ import annotations

import numpy as np


def test_the_client_of_the_original_program_works_unchanged(stack, wait_until) -> None:
    client = stack.client
    block = client.post("/datablock", json={"block": 128}).json()
    assert list(block) == ["data"]
    assert len(block["data"]) == 128
    for sample in block["data"]:
        assert set(sample) == {"target", "image"}
        assert sample["target"] in range(10)
        assert len(sample["image"]) == 784
        assert 0 <= min(sample["image"]) <= max(sample["image"]) <= 1

    (sample,) = client.get("/data").json()["data"]
    assert len(sample["image"]) == 784

    weights = client.get("/weights").json()["weights"]
    assert [np.shape(matrix) for matrix in weights] == [(784, 128), (128, 10)]

    ours = [np.full((784, 128), 0.01).tolist(), np.full((128, 10), 0.02).tolist()]
    version = client.post("/weights", json={"weights": ours}).json()["version"]
    wait_until(lambda: stack.status()["version"] >= version, what="the trainer's news of it")
    kept = client.get("/weights").json()["weights"]
    np.testing.assert_array_equal(np.asarray(kept[0], np.float32), np.asarray(ours[0], np.float32))
    np.testing.assert_array_equal(np.asarray(kept[1], np.float32), np.asarray(ours[1], np.float32))

    tuned = client.patch("/weights", json={"data": [sample]}).json()
    assert set(tuned) == {"loss", "version"}
    assert tuned["version"] > version
    assert client.get("/weights").json()["weights"] != kept

    assert set(client.delete("/weights").json()) == {"version"}
    assert stack.status()["iteration"] == 0
    fresh = client.get("/weights").json()["weights"]
    assert np.std(fresh[0]) > 0.04  # random again
