"""docker-compose.yml hands every setting on, and lets containers do nothing but their work."""

from __future__ import annotations

import re
from pathlib import Path

from ops.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES = dict(
    re.findall(
        r"^  ([\w-]+):\n((?:^(?:    .*|  #.*)?\n)+)",
        COMPOSE.partition("\nservices:\n")[2].partition("\nnetworks:\n")[0],
        re.MULTILINE,
    )
)
FIXED_BY_CONTAINERS = {"host", "port", "behind_edge", "cache_dir", "weights_dir", "state_dir"}


def test_every_setting_reaches_the_containers() -> None:
    handed_on = set(re.findall(rf"^ +{PREFIX}(\w+):", COMPOSE, re.MULTILINE))
    wanted = {name.upper() for name in Settings.model_fields if name not in FIXED_BY_CONTAINERS}
    assert handed_on == wanted


def block(anchor: str) -> str:
    """Return the lines of what is defined under `&anchor`."""
    found = re.search(rf"^x-\w+: &{anchor}\n(.*?)(?=^\w)", COMPOSE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_every_container_is_confined() -> None:
    assert {"edge", "gateway", "redis", "data-worker", "prometheus", "grafana"} <= set(SERVICES)
    assert "<<: *confined" in block("python")
    assert "<<: *python" in block("data")
    for name, text in SERVICES.items():
        assert re.search(r"^    <<: \*(confined|python|data)$", text, re.MULTILINE), name
        assert not re.search(r"privileged|cap_add|read_only: false|pids_limit: -", text), name
    confined = block("confined")
    for line in ("read_only: true", "cap_drop: [ALL]", '"no-new-privileges:true"', "mem_limit: ",
                 "pids_limit: "):  # fmt: skip
        assert line in confined


def test_redis_is_on_the_back_network_alone_which_leads_nowhere() -> None:
    networks = {
        name: re.findall(r"^    networks: \[(.*)\]$", text, re.MULTILINE) or ["back"]
        for name, text in SERVICES.items()
    }
    assert networks["redis"] == networks["trainer"] == networks["data-worker"] == ["back"]
    assert networks["edge"] == ["front"]
    assert "\n  networks: [back]\n" in block("python")  # of whoever says nothing else
    assert "\n  back:\n    internal: true\n" in COMPOSE


def test_what_is_published_is_published_on_loopback_by_default() -> None:
    published = re.findall(r"^      - (\S+:\d+)$", COMPOSE, re.MULTILINE)
    assert len(published) == 3
    for place in published:
        assert re.match(r"\$\{INKLING_BIND:-127\.0\.0\.1\}:|127\.0\.0\.1:", place), place


def test_prometheus_scrapes_every_service_of_ours() -> None:
    scraped = set(
        re.findall(r"job_name: (\S+)", (ROOT / "deploy/observe/prometheus.yml").read_text())
    )
    assert scraped == {
        name for name, text in SERVICES.items() if re.search(r"<<: \*(python|data)\n", text)
    }
