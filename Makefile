# `make demo` and `make test` make their own environment; nothing else is needed
# than Python 3.11 or 3.12, make and a package index.

PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
	"$$p" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
	2>/dev/null && echo "$$p" && break; done)
VENV ?= .venv
BIN = $(VENV)/bin

NUMPY2 ?= .venv-numpy2

.PHONY: demo test test-numpy2 lint types docs bench reproduce-quick results clean

demo: $(VENV)/.installed
	$(BIN)/kerasft demo --force

test: $(VENV)/.test
	$(BIN)/pytest -n 2

# NumPy 2 and kmedoids instead of scikit-learn-extra, as from Python 3.13 on.
test-numpy2: $(NUMPY2)/.installed
	$(NUMPY2)/bin/pytest -n 2

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.lint
	$(BIN)/mypy

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/exemplars.py

# Every experiment of the paper at toy size, on the embedded digits.
reproduce-quick: $(VENV)/.installed
	BIN=$(BIN) bash scripts/reproduce_quick.sh

# Every summary, figure and text of the experiments anew, from the runs in docs/results.
results: $(VENV)/.installed
	$(BIN)/kerasft reproduce report
	$(BIN)/python scripts/readme_results.py

clean:
	rm -rf $(VENV) $(NUMPY2) site kerasft-demo

$(VENV)/.installed: setup.cfg setup.py pyproject.toml
	@test -n "$(PYTHON)" || { echo "Expected Python 3.11 or 3.12. Received: none of python3.12, python3.11, python3; say make PYTHON=…"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(NUMPY2)/.installed: setup.cfg setup.py pyproject.toml
	$(PYTHON) -m venv $(NUMPY2)
	$(NUMPY2)/bin/python -m pip install --quiet "numpy>=2" kmedoids "keras>=3.14" tensorflow \
		scipy pandas scikit-learn pillow matplotlib jinja2 click rich \
		joblib pytest hypothesis pytest-xdist "dask[distributed]"
	$(NUMPY2)/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

# One more environment for each purpose would cost minutes; extras are added to
# the same one.
$(VENV)/.test $(VENV)/.lint $(VENV)/.docs: $(VENV)/.%: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	@touch $@
