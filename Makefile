# One command each; the first one sets up .venv from the hashed lock file.
.DEFAULT_GOAL := test
.PHONY: run test test-long e2e check bench lock manifests docs control-plane

BIN := .venv/bin
PYTHON_OK := import sys; sys.exit(sys.version_info < (3, 11))
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

KINDS := sample_source poll_source webhook_source
MANIFESTS = set -e; for kind in $(KINDS); do $(BIN)/sources manifests adapter.sources.$$kind -o metacontroller/sources/$$kind

run: .venv/ready  ## A source, its hook and its sink on this machine
	$(BIN)/sources run metacontroller/samples/quickstart.yaml

test: check control-plane  ## Everything CI runs
	$(BIN)/pytest

test-long: .venv/ready control-plane  ## The cluster tests in their long forms: 5 idle minutes, 50 edits, …
	LONG=1 $(BIN)/pytest tests/cluster

e2e: export SOURCE_IMAGE ?= registry.local/sample-source:dev
e2e: .venv/ready  ## Tests in the cluster of $KUBECONFIG, with $SOURCE_IMAGE and $METACONTROLLER_IMAGE
	$(BIN)/pytest -rs tests/e2e

control-plane: .venv/ready  ## A Kubernetes API server and its controllers for the tests, from Go modules; needs Go
	$(BIN)/python -m tests.cluster.build

check: .venv/ready  ## Format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MANIFESTS) --check; done

manifests: .venv/ready  ## metacontroller/sources anew from the classes
	@$(MANIFESTS); done

docs: .venv/ready  ## The reference pages from the code, and the site in build/docs
	$(BIN)/python docs/generate.py
	$(BIN)/mkdocs build --strict --quiet

bench: .venv/ready  ## Figures, each beside its committed baseline
	@set -e; ls tests/bench/bench_*.py >/dev/null 2>&1 || { echo "no tests/bench/bench_*.py yet"; exit 1; }; \
	for script in tests/bench/bench_*.py; do echo "== $$script"; $(BIN)/python $$script; done

lock: .venv/ready  ## Newest versions that fit pyproject.toml, into requirements/
	$(UV_COMPILE) --upgrade pyproject.toml -o requirements/runtime.lock
	$(UV_COMPILE) --upgrade pyproject.toml --extra dev --group test --group bench --group docs -o requirements/dev.lock

# $(PYTHON) wins if given; else the first interpreter that runs and is new enough.
.venv/ready: requirements/dev.lock pyproject.toml
	@set -e; for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$python -c '$(PYTHON_OK)' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "Python 3.11 or newer is needed and none is on PATH; name one: make PYTHON=/path/to/python3" >&2; exit 1; fi; \
	echo "setting up .venv from requirements/dev.lock, about half a minute"; \
	[ -x $(BIN)/python ] || $$found -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
