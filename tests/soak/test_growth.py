"""The line through samples: exact where they lie on one, unsure where they scatter."""

from __future__ import annotations

import numpy as np
import pytest

from tests.soak.growth import BLOCKS, slope

MINUTES = [k / 12 for k in range(120)]


def test_samples_on_a_line_give_its_slope() -> None:
    found = slope(MINUTES, [70_000 + 250 * minute for minute in MINUTES])
    assert found.per_minute == pytest.approx(250)
    assert found.error == pytest.approx(0, abs=1e-6)
    assert found.exceeds(249)
    assert not found.exceeds(251)


def test_noise_does_not_grow_but_a_leak_in_it_does() -> None:
    noise = np.random.default_rng([0]).normal(0, 500, len(MINUTES))
    flat = slope(MINUTES, list(noise))
    leak = slope(MINUTES, list(noise + 400 * np.array(MINUTES)))
    assert abs(flat.per_minute) < 2.5 * flat.error
    assert not flat.exceeds(100)
    assert leak.per_minute == pytest.approx(flat.per_minute + 400)
    assert leak.error == pytest.approx(flat.error)
    assert leak.exceeds(100)


def test_one_step_is_no_sure_growth() -> None:
    step = slope(MINUTES, [1000.0 * (minute > 8) for minute in MINUTES])
    assert step.per_minute > 0
    assert not step.exceeds(100)


def test_too_few_samples() -> None:
    with pytest.raises(ValueError, match="11 samples are too few for 12 blocks: soak longer"):
        slope(MINUTES[: BLOCKS - 1], [0.0] * (BLOCKS - 1))
