"""Each alert of deploy/observe/rules.yml fires when it should, and none while all is well."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.running import ROOT

RULES = ROOT / "deploy" / "observe" / "rules.yml"
ALERTS = re.findall(r"- alert: (\w+)", RULES.read_text())
MINUTES = 4
REQUESTS = "inkling_http_request_duration_seconds"
WELL = "1x60"  # of promtool: the value 1, 61 times, 5 s apart

# All is well: what Prometheus has scraped by then.
HEALTHY = {
    'up{job="trainer",instance="t:8000"}': WELL,
    'inkling_ready{job="trainer",instance="t:8000"}': WELL,
    'inkling_trainer_leading{job="trainer",instance="t:8000"}': WELL,
    'inkling_trainer_leading{job="trainer",instance="standby:8000"}': "0x60",
    'inkling_trainer_data_workers{job="trainer",instance="t:8000"}': "2x60",
    'inkling_trainer_data_workers{job="trainer",instance="standby:8000"}': "0x60",
    'inkling_trainer_data_wait_seconds_total{job="trainer",instance="t:8000"}': "0+0.5x60",
    'inkling_trainer_ticket_age_seconds{job="trainer",instance="t:8000"}': "0.1x60",
    'inkling_trainer_tickets_reissued_total{job="trainer",instance="t:8000"}': "3x60",
    'inkling_redis_errors_total{job="trainer",instance="t:8000"}': "7x60",
    REQUESTS + '_count{job="inference",route="/infer",status="200"}': "0+100x60",
    REQUESTS + '_count{job="inference",route="/infer",status="503"}': "0+1x60",
    REQUESTS + '_bucket{job="inference",route="/infer",status="200",le="0.1"}': "0+100x60",
    REQUESTS + '_bucket{job="inference",route="/infer",status="200",le="0.5"}': "0+100x60",
    REQUESTS + '_bucket{job="inference",route="/infer",status="200",le="+Inf"}': "0+100x60",
    'inkling_weights_swap_seconds_bucket{job="inference",le="0.1"}': "0+50x60",
    'inkling_weights_swap_seconds_bucket{job="inference",le="0.5"}': "0+50x60",
    'inkling_weights_swap_seconds_bucket{job="inference",le="+Inf"}': "0+50x60",
    'inkling_gateway_viewer_lag_frames{job="gateway",instance="g:8000"}': "3x60",
    'inkling_disk_free_bytes{job="weights",folder="weights"}': "50x60",
    'inkling_disk_size_bytes{job="weights",folder="weights"}': "100x60",
    'process_resident_memory_bytes{job="data",instance="d:8000"}': "9e7x60",
    'process_open_fds{job="data",instance="d:8000"}': "30x60",
    'process_max_fds{job="data",instance="d:8000"}': "1000x60",
}
# What is otherwise when an alert has to fire; nothing else may.
ILL = {
    "ServiceDown": {'up{job="trainer",instance="t:8000"}': "0x60"},
    "ServiceNotReady": {'inkling_ready{job="trainer",instance="t:8000"}': "0x60"},
    "NoTrainer": {'inkling_trainer_leading{job="trainer",instance="t:8000"}': "0x60"},
    "TwoTrainersLead": {
        'inkling_trainer_leading{job="trainer",instance="standby:8000"}': WELL,
        'inkling_trainer_data_workers{job="trainer",instance="standby:8000"}': "2x60",
    },
    "NoDataWorker": {'inkling_trainer_data_workers{job="trainer",instance="t:8000"}': "0x60"},
    "TrainingStarved": {
        'inkling_trainer_data_wait_seconds_total{job="trainer",instance="t:8000"}': "0+4x60"
    },
    "TrainingStalled": {
        'inkling_trainer_ticket_age_seconds{job="trainer",instance="t:8000"}': "12x60"
    },
    "TicketsLost": {
        'inkling_trainer_tickets_reissued_total{job="trainer",instance="t:8000"}': "0+1x60"
    },
    "RedisAway": {'inkling_redis_errors_total{job="trainer",instance="t:8000"}': "0+1x60"},
    "ErrorRate": {REQUESTS + '_count{job="inference",route="/infer",status="503"}': "0+10x60"},
    "SlowInference": {
        REQUESTS + '_bucket{job="inference",route="/infer",status="200",le="0.1"}': "0+50x60"
    },
    "SlowSwap": {'inkling_weights_swap_seconds_bucket{job="inference",le="0.1"}': "0+25x60"},
    "ViewersLag": {'inkling_gateway_viewer_lag_frames{job="gateway",instance="g:8000"}': "300x60"},
    "DiskNearlyFull": {'inkling_disk_free_bytes{job="weights",folder="weights"}': "9x60"},
    "MemoryNearlyFull": {'process_resident_memory_bytes{job="data",instance="d:8000"}': "9e8x60"},
    "FilesNearlyUp": {'process_open_fds{job="data",instance="d:8000"}': "900x60"},
}


def firing(*alerts: str) -> dict[str, object]:
    """Return promtool's test of which alerts fire after MINUTES minutes."""
    return {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": f"{MINUTES}m",
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in alerts],
    }


def test_every_alert_fires_by_itself_and_none_while_all_is_well(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("needs Prometheus: apt-get install prometheus")
    assert sorted(ILL) == sorted(ALERTS)
    cases = [({}, ()), *((series, (alert,)) for alert, series in ILL.items())]
    tests = [
        {
            "interval": "5s",
            "input_series": [
                {"series": name, "values": values} for name, values in {**HEALTHY, **series}.items()
            ],
            "promql_expr_test": [firing(*alerts)],
        }
        for series, alerts in cases
    ]
    for series in ILL.values():
        assert series.keys() <= HEALTHY.keys()  # a slip of the pen would test nothing
    file = tmp_path / "alerts.json"  # JSON is YAML
    file.write_text(
        json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "5s", "tests": tests})
    )
    shown = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
