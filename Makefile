# Two commands do everything from a fresh clone: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The first interpreter that is new enough; PYTHON=... overrides.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PART ?= meshes/bracket.step
PROBLEM ?= meshes/bracket.toml
COUNT ?= 1000
CASES ?= 5000
SEED ?= 0
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope

# gmsh's wheel links the X libraries although it never opens a window; EGL or OSMesa renders the pictures off screen;
# CalculiX is the independent reference of the verification tests; bubblewrap isolates readers of untrusted files.
SYSTEM_PACKAGES := libglu1-mesa libxcursor1 libxft2 libxinerama1 libxfixes3 libxrender1 libgomp1 \
    libegl1 libgl1-mesa-dri libosmesa6 calculix-ccx bubblewrap
# Of the tests alone: chromium opens the page, docker-compose reads docker-compose.yml, postgresql is started by tests.
TEST_PACKAGES := chromium docker-compose postgresql

.PHONY: help demo test test-fast fuzz schemathesis load chaos lint audit format verification readme-figures family-sheet solver-benchmark front \
    dataset-card results ablations api-examples notebooks parts web page-pictures wheel clean distclean python system-packages

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

demo: $(INSTALLED) ## start the service, upload a part, predict its margins, save the report in demo_output/
	$(BIN)/python -m api.demo $(PART) $(PROBLEM) --out demo_output

test: lint audit ## lint, types, audit of the dependencies, then all tests, the slow ones too
	$(PYTEST) --durations 15

test-fast: $(INSTALLED) ## the tests that take seconds
	$(PYTEST) -m "not slow"

fuzz: $(INSTALLED) ## read COUNT=1000 mutated files of SEED=0 in the sandbox; KEEP=DIRECTORY keeps those that break a law
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.geometry.fuzzing --count $(COUNT) --seed $(SEED) $(if $(KEEP),--keep $(KEEP))

schemathesis: $(INSTALLED) ## hold a running service to its OpenAPI document by CASES=5000 requests of SEED=0
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.api.contract_fuzz --cases $(CASES) --seed $(SEED)

lint: $(INSTALLED) ## ruff and strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: $(INSTALLED) ## look for known vulnerabilities in what is installed; STRICT=1 fails where no service answers, too
	$(BIN)/python .ci/audit.py $(if $(STRICT),--strict)

format: $(INSTALLED) ## format the code and sort the imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

load: $(INSTALLED) ## put USERS=50 users on a service of its own for MINUTES=10; prints latencies, errors, memory, health
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.load --users $(or $(USERS),50) --minutes $(or $(MINUTES),10)

chaos: $(INSTALLED) ## kill the service and its workers at random during JOBS=500 with KILLS=20 on DATABASE=sqlite|postgres, look what is lost
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.api.chaos --database $(or $(DATABASE),sqlite) --jobs $(or $(JOBS),500) \
	    --kills $(or $(KILLS),20) --workers $(or $(WORKERS),1) --seed $(or $(SEED),1)

verification: $(INSTALLED) ## hold the reference solver to its laws and benchmarks, write docs/verification.md
	PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python docs/verification.py

readme-figures: $(INSTALLED) ## measure again the README's picture and table
	OMP_NUM_THREADS=2 $(BIN)/python docs/readme_figures.py

family-sheet: $(INSTALLED) ## draw a hundred random samples of the part families in docs/images/; goes on where it stopped
	PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python docs/family_sheet.py

dataset-card: $(INSTALLED) ## check the simulations in DATA=DIRECTORY and write docs/dataset.md
	OMP_NUM_THREADS=1 $(BIN)/python docs/dataset_card.py $(DATA)

solver-benchmark: $(INSTALLED) ## measure the solver against CalculiX and write docs/performance.md; goes on where it stopped
	$(BIN)/python docs/solver_benchmark.py

front: $(INSTALLED) ## measure error against seconds of every method, write docs/front.json and its picture; goes on where it stopped
	PYTHONPATH=. $(BIN)/python docs/front.py

ablations: $(INSTALLED) ## put JEPA on trial by small runs on the campaign in DATA=DIRECTORY, write docs/ablations.json; goes on where it stopped
	OMP_NUM_THREADS=1 $(BIN)/python -m surrogate.training.ablations --data $(DATA) --runs out/ablations --out docs/ablations.json

results: $(INSTALLED) ## write docs/results.md from what was measured (docs/results.py names the commands)
	$(BIN)/python docs/results.py

api-examples: $(INSTALLED) ## record the answers that the OpenAPI document shows
	OMP_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python docs/api_examples.py

notebooks: $(INSTALLED) ## run the notebooks and store their outputs
	$(BIN)/python notebooks/run_notebooks.py

parts: $(INSTALLED) ## make the sample parts of meshes/ again
	$(BIN)/python meshes/make_parts.py

web: ## bundle the page's sources into api/web/dist, which is committed; needs Node.js 20 and npm
	cd api/web && npm ci --no-fund --no-audit && npm run --silent build

page-pictures: $(INSTALLED) ## take the pictures of the page in docs/images/ again, from a real service
	PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python docs/page_pictures.py

wheel: $(INSTALLED) ## build the wheel into dist/
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

clean: ## remove what the targets made, but not the virtual environment
	rm -rf build dist demo_output out *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find surrogate api tests meshes docs notebooks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## clean, and remove the virtual environment
	rm -rf $(VENV)

python:
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python 3.11 or newer is needed, found '$(PYTHON)': apt-get install python3 python3-venv, or make PYTHON=/path/to/python3.11 ..." >&2; \
	    exit 2; }

# Quick when nothing is missing, so it is asked every time.
system-packages: | python
	@.ci/system-packages $(SYSTEM_PACKAGES) $(TEST_PACKAGES) \
	    $$($(PYTHON) -c 'import ensurepip' 2>/dev/null || $(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')

$(INSTALLED): pyproject.toml | system-packages
	@# An interrupted set-up leaves an environment without pip: start over then.
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo 'installing into $(VENV): the first time takes some minutes'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
