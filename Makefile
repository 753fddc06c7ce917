# The same commands for people, for CI and for the container build. `make` alone lists them.
PORT ?= 8080
DATA_WORKERS ?= 1
MINUTES ?= 30
PYTHON ?= python3
BIN := .venv/bin
PAGE := frontend/node_modules/uplot/package.json
AXE := frontend/node_modules/axe-core/package.json
PEERS := bench/.venv/peers

.PHONY: help run scale test test-chaos test-fuzz test-soak test-docker sbom audit bench bench-peers bench-curves bench-page check lock clean

help:
	@echo "make run                     start Inkling on http://localhost:$(PORT) (PORT=8081 make run: another port)"
	@echo "make scale DATA_WORKERS=4    change the number of data workers while it runs"
	@echo "make test                    run every test"
	@echo "make test-chaos              break everything under load, again and again (CHAOS_SEED=7 CHAOS_FAULTS=200)"
	@echo "make test-fuzz               throw some 35,000 malformed inputs at the stack"
	@echo "make test-soak MINUTES=30    load the stack and see that no process grows"
	@echo "make test-docker             test the stack in Docker (INKLING_DATA_DIR: a folder with MNIST)"
	@echo "make bench                   measure everything against what people would use (ARGS='--repeats 5 --plot')"
	@echo "make bench-train             measure some of it: -infer, -fanout, -workers, -swap, -start ..."
	@echo "make bench-curves            measure how cost grows with the work, and draw docs/performance-*.png"
	@echo "make bench-page              measure the page in a real Chromium, beside make run"
	@echo "make check                   lint and type check"
	@echo "make sbom                    print a software bill of materials (CycloneDX) of the lock files"
	@echo "make audit                   ask the registries for known vulnerabilities of what is locked"
	@echo "make lock                    pin the newest allowed versions of all packages"
	@echo "make clean                   remove what the other commands have made, your weights included"

run: .venv/run $(PAGE)
	@INKLING_PORT=$(PORT) exec $(BIN)/python -m services.local

scale: .venv/run
	@$(BIN)/python -m services.local.scale $(DATA_WORKERS)

test: .venv/dev $(AXE)
	scripts/test

# On its own, because it takes minutes; -s shows the faults as they come, and what was found.
test-chaos: .venv/dev
	$(BIN)/python -m pytest -s tests/chaos/chaos.py

# On their own, because they take minutes.
test-fuzz: .venv/dev
	$(BIN)/python -m pytest -o python_files='fuzz_*.py' tests/fuzz

test-soak: .venv/dev
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

# On its own, because it needs a Docker engine; -s shows what it measures.
test-docker: .venv/dev
	$(BIN)/python -m pytest -s tests/system/compose_stack.py

# Wants a quiet machine. The peers have an environment of their own, so that `make run` needs none.
bench: .venv/dev $(PAGE) $(PEERS)
	$(BIN)/python -m bench $(ARGS)

bench-%: .venv/dev $(PAGE) $(PEERS)
	$(BIN)/python -m bench $* $(ARGS)

bench-curves: .venv/dev $(PAGE) $(PEERS)
	$(BIN)/python -m bench.curves $(ARGS)

bench-peers: $(PEERS)

bench-page: .venv/dev
	$(BIN)/python bench/page.py --url http://localhost:$(PORT)

check: .venv/dev
	scripts/check

sbom: .venv/run
	@$(BIN)/python scripts/sbom.py

audit: .venv/run
	$(BIN)/python scripts/audit.py

lock: .venv/dev
	scripts/lock

clean:
	rm -rf .venv .inkling frontend/node_modules bench/.venv bench/peers/node_modules bench/results.* bench/curves.json .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp is newer than the lock file that it was made from.
.venv/run: requirements/run.txt requirements/redis.txt scripts/install
	scripts/install run "$(PYTHON)"

.venv/dev: .venv/run requirements/dev.txt
	scripts/install dev "$(PYTHON)"

$(PAGE): frontend/package-lock.json scripts/page | .venv/run
	scripts/page run

$(AXE): frontend/package-lock.json scripts/page | .venv/run
	scripts/page dev

$(PEERS): requirements/bench.txt requirements/torch.txt bench/peers/package-lock.json scripts/bench_peers | .venv/run
	scripts/bench_peers "$(PYTHON)"
