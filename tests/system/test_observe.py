"""A real Prometheus with the files of deploy/observe, beside services as containers run them."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.running import ROOT, RedisServer, data_environment, free_port, wait_until

FOLDER = ROOT / "deploy" / "observe"
CONFIG = (FOLDER / "prometheus.yml").read_text()
DNS = re.compile(r"dns_sd_configs: \[\{names: \[([\w-]+)\], type: A, port: 8000[^\n]*")
MODULES = {
    "gateway": "services.gateway",
    "inference": "services.inference",
    "weights": "services.weights",
    "data": "services.data",
    "data-worker": "services.data.worker",
    "trainer": "services.trainer",
}
IMAGE = {"image": [0.5] * 784}

pytestmark = [
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="needs Prometheus: apt-get install prometheus"
    ),
    pytest.mark.timeout(240),
]


@contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the end of the block."""
    with log.open("wb") as file:
        others = {k: v for k, v in os.environ.items() if not k.startswith("INKLING_")}
        process = subprocess.Popen(
            command, cwd=ROOT, env={**others, **environment}, stdout=file, stderr=file
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


class Services:
    """Each service as a process of its own, with a port of its own."""

    def __init__(self, folder: Path, datasets: Path, redis_url: str, stack: ExitStack) -> None:
        self.ports = {name: free_port() for name in MODULES}
        self._folder, self._stack = folder, stack
        self._environment = {
            **data_environment(),
            "INKLING_REDIS_URL": redis_url,
            "INKLING_CACHE_DIR": str(datasets),
            "INKLING_WEIGHTS_DIR": str(folder / "weights"),
        }

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start one, and return when it answers."""
        process = self._stack.enter_context(
            running(
                [sys.executable, "-m", MODULES[name]],
                self._folder / f"{name}.log",
                INKLING_PORT=str(self.ports[name]),
                **self._environment,
            )
        )
        wait_until(lambda: answers(f"{self.url(name)}/healthz"), 60, name)
        return process

    def url(self, name: str) -> str:
        """Return where it is."""
        return f"http://127.0.0.1:{self.ports[name]}"


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


class Prometheus:
    """A Prometheus, as one asks it."""

    def __init__(self, url: str, services: Services, trainer: subprocess.Popen[bytes]) -> None:
        self.client = httpx.Client(base_url=f"{url}/api/v1", timeout=20)
        self.services = services
        self.trainer = trainer

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer."""
        answer = self.client.get(path, params=parameters)
        assert answer.status_code == 200, (parameters, answer.text)
        return answer.json()["data"]

    def values(self, query: str) -> list[float]:
        """Return the numbers that a query answers; NaN is none."""
        found = self.get("/query", query=query)["result"]
        values = [float(one["value"][1]) for one in found]
        return [value for value in values if not math.isnan(value)]


@contextmanager
def visited(services: Services) -> Iterator[None]:
    """Let somebody watch, ask and control all the while."""
    stop = threading.Event()
    gateway = services.url("gateway").replace("http", "ws")

    def watch(socket: ClientConnection) -> None:
        with suppress(Exception):
            for _ in socket:
                continue

    def ask(socket: ClientConnection) -> None:
        while not stop.wait(0.2):
            httpx.post(f"{services.url('inference')}/infer", json=IMAGE)
            httpx.get(f"{services.url('data')}/data")
            socket.send(json.dumps({"type": "GetStatus"}))

    with connect(f"{gateway}/ws", max_size=None) as socket:
        threads = [threading.Thread(target=one, args=(socket,)) for one in (watch, ask)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            threads[1].join()
            socket.close()
            threads[0].join()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, datasets: Path) -> Iterator[Prometheus]:
    """Prometheus with the shipped files, but for where services are; they train, and are used."""
    folder = tmp_path_factory.mktemp("observe")
    with ExitStack() as stack:
        redis_server = RedisServer(folder)
        redis_server.start()
        stack.callback(redis_server.stop)
        services = Services(folder, datasets, redis_server.url, stack)
        for name in ("inference", "gateway", "weights", "data", "data-worker"):
            services.start(name)
        early = httpx.post(f"{services.url('inference')}/infer", json=IMAGE)
        assert early.status_code == 503  # so that there are errors to count
        trainer = services.start("trainer")
        started = {"type": "Start"}
        wait_until(
            lambda: httpx.post(f"{services.url('gateway')}/control", json=started).is_success,
            what="the trainer",
        )
        adapted, count = DNS.subn(
            lambda found: (
                f'static_configs: [{{targets: ["127.0.0.1:{services.ports[found[1]]}"]}}]'
            ),
            CONFIG,
        )
        assert count == len(MODULES)
        (folder / "prometheus.yml").write_text(adapted)
        shutil.copy(FOLDER / "rules.yml", folder)
        place = f"127.0.0.1:{free_port()}"
        command = [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address={place}",
        ]
        stack.enter_context(running(command, folder / "prometheus.log"))
        wait_until(lambda: answers(f"http://{place}/-/ready"), what="Prometheus")
        stack.enter_context(visited(services))
        prometheus = Prometheus(f"http://{place}", services, trainer)
        stack.callback(prometheus.client.close)
        yield prometheus


def test_prometheus_takes_the_shipped_files() -> None:
    checked = subprocess.run(
        ["promtool", "check", "config", str(FOLDER / "prometheus.yml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_service_is_scraped(prometheus: Prometheus) -> None:
    def up() -> list[str]:
        targets = prometheus.get("/targets")["activeTargets"]
        return sorted(one["labels"]["job"] for one in targets if one["health"] == "up")

    wait_until(lambda: up() == sorted(MODULES), what="all targets")


def test_every_query_of_the_dashboard_answers_data(prometheus: Prometheus) -> None:
    dashboard = json.loads((FOLDER / "grafana" / "dashboards" / "inkling.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(queries) > 30
    silent = set(queries)

    def all_answer() -> bool:
        for query in sorted(silent):
            if prometheus.values(query.replace("$__rate_interval", "1m")):
                silent.discard(query)
        return not silent

    try:
        wait_until(all_answer, 60, "data")
    except AssertionError:
        pytest.fail("no data for:\n" + "\n".join(sorted(silent)))
    datasource = (FOLDER / "grafana" / "datasources" / "prometheus.yml").read_text()
    used = {target["uid"] for panel in panels for target in [panel["datasource"]]}
    assert used == set(re.findall(r"uid: (\w+)", datasource))


def test_every_alert_looks_at_data_that_is_there(prometheus: Prometheus) -> None:
    def rules() -> list[dict[str, Any]]:
        (group,) = prometheus.get("/rules")["groups"]
        found: list[dict[str, Any]] = group["rules"]
        return found

    wait_until(lambda: all(rule["health"] == "ok" for rule in rules()), what="the first evaluation")
    assert len(rules()) > 10
    silent = []
    for rule in rules():
        # With `bool`, a comparison answers 0 or 1 instead of nothing or something.
        query, count = re.subn(r" (<|>|==) (?=[\d.]+$)", r" \1 bool ", rule["query"])
        assert count == 1, rule["query"]
        if not prometheus.values(query):
            silent.append(rule["name"])
    assert not silent


def test_every_metric_is_in_the_operators_table(prometheus: Prometheus) -> None:
    table = (ROOT / "docs" / "operations.md").read_text()
    documented = re.findall(r"^\| `(inkling_\w+)` \| (\w+) \|", table, re.MULTILINE)
    services = prometheus.services
    measured = {
        (name, kind)
        for service in MODULES
        for name, kind in re.findall(
            r"^# TYPE (inkling_\w+) (\w+)",
            httpx.get(f"{services.url(service)}/metrics").text,
            re.MULTILINE,
        )
        if not name.endswith("_created")
    }
    assert sorted(documented) == sorted(measured)
    assert {name for name, kind in measured if kind == "counter"} == {
        name for name, _ in measured if name.endswith("_total")
    }


def test_every_alert_is_in_the_operators_table() -> None:
    table = (ROOT / "docs" / "operations.md").read_text()
    alerts = re.findall(r"- alert: (\w+)", (FOLDER / "rules.yml").read_text())
    assert re.findall(r"^\| `([A-Z]\w+)` \|", table, re.MULTILINE) == alerts


@pytest.mark.parametrize(
    "query",
    [
        "inkling_trainer_iterations_total", "inkling_trainer_samples_total",
        "inkling_trainer_checkpoints_total", "inkling_trainer_data_workers",
        "inkling_data_batches_total", "inkling_data_samples_total",
        'inkling_http_request_duration_seconds_count{route="/infer",status="200"}',
        'inkling_http_request_duration_seconds_count{route="/infer",status="503"}',
        "inkling_inference_images_total", "inkling_inference_swaps_total",
        'inkling_weights_swap_seconds_count{job="inference"}',
        "inkling_gateway_viewers", "inkling_gateway_frames_total",
        'inkling_gateway_signals_total{outcome="obeyed"}',
        "inkling_data_evaluation_seconds_count", "inkling_data_test_accuracy_ratio",
        "inkling_weights_versions", "inkling_disk_free_bytes", "inkling_ready",
    ],
)  # fmt: skip
def test_what_is_done_is_counted(prometheus: Prometheus, query: str) -> None:
    wait_until(lambda: any(value > 0 for value in prometheus.values(query)), 60, query)


def test_a_trainer_that_is_gone_raises_the_alarm(prometheus: Prometheus) -> None:
    def alerts() -> set[str]:
        return {alert["labels"]["alertname"] for alert in prometheus.get("/alerts")["alerts"]}

    assert "NoTrainer" not in alerts()
    prometheus.trainer.send_signal(signal.SIGTERM)
    assert prometheus.trainer.wait(20) == 0
    wait_until(lambda: {"NoTrainer", "ServiceDown"} <= alerts(), 60, "the alerts")
