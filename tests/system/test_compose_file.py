"""docker-compose.yml hands every setting on, but those that the containers themselves fix."""

from __future__ import annotations

import re
from pathlib import Path

from ops.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
FIXED_BY_CONTAINERS = {"host", "port", "behind_edge", "cache_dir", "weights_dir", "state_dir"}


def test_every_setting_reaches_the_containers() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    handed_on = set(re.findall(rf"^ +{PREFIX}(\w+):", text, re.MULTILINE))
    wanted = {name.upper() for name in Settings.model_fields if name not in FIXED_BY_CONTAINERS}
    assert handed_on == wanted
