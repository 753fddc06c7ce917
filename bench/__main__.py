"""How fast everything is, each row against what people would use instead.

    make bench                        # all rows
    make bench-train                  # some: -infer, -fanout, -workers, -swap, -start ...
    .venv/bin/python -m bench train infer --repeats 5 --plot

Prints one table and writes bench/results.json. Exits with status 1 if a row does not hold.
Wants a quiet machine: whatever else runs takes part in the measurement.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from bench import machine
from bench.measure import Group, measure, table
from bench.peers import peer_python
from bench.rows import GROUPS

RESULTS = Path(__file__).parent / "results.json"
PLOT = Path(__file__).parent / "plot.py"


def main() -> int:
    """Measure, print, write; return the exit status."""
    options = _options()
    chosen: list[Group] = [GROUPS[name] for name in options.groups or GROUPS]
    facts = machine.machine()
    print(machine.words(facts), flush=True)
    started = time.monotonic()
    results = []
    for group in chosen:
        results += measure(
            group,
            options.repeats,
            lambda words: print(f"{time.monotonic() - started:5.0f} s  {words}", flush=True),
        )
    print()
    print("\n".join(table(results)))
    RESULTS.write_text(json.dumps({"rows": results, "machine": facts}, indent=1) + "\n")
    if options.plot:
        subprocess.run([peer_python(), PLOT, RESULTS], check=True)
    return 0 if all(one["holds"] for one in results) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="How fast everything is")
    parser.add_argument("groups", nargs="*", metavar="ROWS", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each side")
    parser.add_argument("--plot", action="store_true", help="draw bench/results.png, too")
    options = parser.parse_args()
    unknown = [name for name in options.groups if name not in GROUPS]
    if unknown:
        parser.error(f"there are no rows {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
