# Four commands, each of which makes what it needs:
#   make demo    runs the main job on a plate it generates
#   make test    runs the tests
#   make check   runs format, lint, types, imports, sizes, docs
#   make bench   measures against peers
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := .uv/bin/uv
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-without-dvc check bench format lint types imports sizes docs constraints sync clean

demo: sync
	$(BIN)/python tools/demo.py

test: sync
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(PYTEST)

# DVC's files are the interface, DVC's Python is not: all but `run` works without the program.
# No module imports dvc (a contract of lint-imports), and `tracking` alone starts it: what lies
# below in the layers cannot tell whether it is there, so those unit tests are not run again.
BARE := .venv-without-dvc
WITHOUT := $(foreach name,dvc dvc-azure dvc-data dvc-gs dvc-objects dvc-render dvc-s3 dvc-ssh \
	dvc-studio-client dvc-task dvc-webdav dvc-http,--no-install-package $(name))
REACHING := $(addprefix tests/,attackers by_path cli contracts copies docs journeys \
	$(addprefix unit/,deposits lineage test_backends.py tracking))

test-without-dvc: $(UV)
	UV_PROJECT_ENVIRONMENT=$(BARE) $(UV) sync --quiet --frozen --all-extras $(WITHOUT)
	$(BARE)/bin/python -m pytest -q -n 2 --dist loadgroup \
		-m "not dvc and not server and not slow" $(REACHING)

check: sync format lint types imports sizes constraints docs

bench: sync
	$(UV) sync --quiet --frozen --all-extras --group bench
	$(BIN)/python -m benchmarks.run
	$(BIN)/python -m benchmarks.lineage_speed
	$(BIN)/python -m benchmarks.check_headers

sync: $(VENV)/.synced

$(UV):
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.synced: $(UV) uv.lock pyproject.toml
	$(UV) sync --quiet --frozen --all-extras --compile-bytecode
	touch $@

format:
	$(BIN)/ruff format --check .

lint:
	$(BIN)/ruff check .
	$(BIN)/codespell src docs templates README.md CHANGELOG.md

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

sizes:
	$(BIN)/python tools/check_sizes.py

# pip users resolve in seconds with what the lock resolved.
constraints: $(UV)
	$(UV) export --quiet --frozen --all-extras --no-hashes --no-emit-project --no-annotate \
		--no-header | diff constraints.txt -

docs:
	$(BIN)/python -m pytest -q tests/docs

clean:
	rm -rf $(VENV) $(BARE) .uv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage*
