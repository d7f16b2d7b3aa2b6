# Each target is one command. The first run creates .venv from the lock file with hashes.
.DEFAULT_GOAL := test
.PHONY: run test test-long fuzz soak e2e check bench bench-scale image-size lock manifests docs control-plane release dist

# Where this variable is set, each of the thousands of processes of the tests would compile all modules again.
export PYTHONDONTWRITEBYTECODE :=

BIN := .venv/bin
PYTHON_OK := import sys; sys.exit(sys.version_info < (3, 11))
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

KINDS := sample_source cron_source poll_source webhook_source
MANIFESTS = set -e; for kind in $(KINDS); do $(BIN)/sources manifests adapter.sources.$$kind -o metacontroller/sources/$$kind

run: .venv/ready  ## Run a source, the hook and a sink on this machine
	$(BIN)/sources run metacontroller/samples/quickstart.yaml

# Four processes also on two cores: most tests wait for the programs that they start. The order of the files is kept,
# so that the cluster tests come first: they are the largest group of files that one process runs.
test: check control-plane  ## Run all checks and the tests that this machine can run; lists the skipped ones
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder

test-long: .venv/ready control-plane  ## Run tests with longer times: 5 idle minutes, 50 edits, 100 kills of each kind, …
	LONG=1 $(BIN)/pytest tests/property/test_poller_cuts.py tests/cluster tests/process/test_delivery.py \
		tests/process/kinds tests/process/checkpoints/test_kills.py \
		tests/process/test_attacks.py tests/process/test_attacks_hook.py

fuzz: MINUTES ?= 10
fuzz: .venv/ready  ## Try random inputs with the parsers and servers; failing ones become tests. MINUTES=10
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

soak: MINUTES ?= 20
soak: .venv/ready  ## Run hook, adapter and pool under load; memory and open files must not grow. MINUTES=20
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

e2e: export SOURCE_IMAGE ?= registry.local/sample-source:dev
e2e: .venv/ready  ## Run the tests in the cluster of $KUBECONFIG, with $SOURCE_IMAGE and $METACONTROLLER_IMAGE
	$(BIN)/pytest -rs tests/e2e

control-plane: .venv/ready  ## Build a Kubernetes control plane and Helm for the tests from Go modules; needs Go
	$(BIN)/python -m tests.cluster.build

check: .venv/ready  ## Check format, lint rules, types, import contracts and generated manifests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MANIFESTS) --check; done
	$(BIN)/python -m metacontroller.generate --check

manifests: .venv/ready  ## Generate the manifests for kustomize and the Helm chart
	@$(MANIFESTS); done
	$(BIN)/python -m metacontroller.generate

docs: .venv/ready  ## Generate the reference pages and the site in build/docs
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: .venv/ready  ## Run the benchmarks, each against its baseline
	@set -e; for script in tests/bench/bench_*.py; do echo "== $$script"; $(BIN)/python $$script; done

bench-scale: N ?= 100
bench-scale: .venv/ready control-plane  ## Measure what N sources cost. N=100 ARGS="--phases create,delete --flags=--workers=50"
	$(BIN)/python -m tests.bench.scale -n $(N) $(ARGS)

image-size: .venv/ready  ## Show what an image is made of. ARCHIVE=FILE, as `docker save` writes it
	$(BIN)/python tests/bench/image_size.py "$(ARCHIVE)"

release: .venv/ready  ## Write version and changelog, and build the files of a release into dist/. VERSION=1.4.0
	$(BIN)/python -m release "$(VERSION)"

dist: .venv/ready  ## Build dist/ of the release that is checked out, with the same bytes
	$(BIN)/python -m release

lock: .venv/ready  ## Write the newest versions that pyproject.toml allows to requirements/
	$(UV_COMPILE) --upgrade pyproject.toml -o requirements/runtime.lock
	$(UV_COMPILE) --upgrade pyproject.toml --extra otlp -o requirements/otlp.lock
	$(UV_COMPILE) --upgrade pyproject.toml --extra dev --extra otlp --group test --group bench --group docs --group release -o requirements/dev.lock

# Uses $(PYTHON) if it is set; otherwise the first interpreter that runs and is new enough.
.venv/ready: requirements/dev.lock pyproject.toml
	@set -e; for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$python -c '$(PYTHON_OK)' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "Python 3.11 or newer is not on PATH; run make PYTHON=/path/to/python3" >&2; exit 1; fi; \
	echo "[1/3] creating .venv with $$found"; \
	[ -x $(BIN)/python ] || $$found -m venv .venv
	@echo "[2/3] installing the packages of requirements/dev.lock; this takes about a minute"
	@sh requirements/install.sh .venv requirements/dev.lock
	@echo "[3/3] installing this project"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
