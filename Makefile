# `make demo` and `make test` make their own environment; nothing else is needed
# than Python 3.11 or 3.12, make and a package index.

PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
	"$$p" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
	2>/dev/null && echo "$$p" && break; done)
VENV ?= .venv
BIN = $(VENV)/bin

NUMPY2 ?= .venv-numpy2
JAX ?= .venv-jax
TORCH ?= .venv-torch

# Each worker has its half of the tests in their order, so that what a file shares is mostly
# made once; one that is done takes from the other.
PYTEST = pytest -n 2 --dist worksteal

.PHONY: demo test test-slow test-numpy2 test-jax test-torch lint types docs bench bench-quick reproduce-quick results clean

demo: $(VENV)/.installed
	$(BIN)/kerasft demo --force

test: $(VENV)/.test
	$(BIN)/$(PYTEST)

# What takes minutes: every family of networks in keras.applications.
test-slow: $(VENV)/.test
	$(BIN)/$(PYTEST) -m slow

# NumPy 2 and kmedoids instead of scikit-learn-extra, as from Python 3.13 on.
test-numpy2: $(NUMPY2)/.installed
	$(NUMPY2)/bin/$(PYTEST)

# What computes with a backend of Keras, on JAX and on PyTorch in place of TensorFlow.
BACKEND_TESTS = tests/layers tests/susceptibility tests/criteria tests/methods \
	tests/test_batch_norm*.py tests/test_call_order.py tests/test_distribution.py tests/test_finetuning*.py \
	tests/test_frozen_prefix.py tests/test_invariance.py tests/test_surgery*.py \
	tests/test_workflows.py

test-jax: $(JAX)/.installed
	KERAS_BACKEND=jax $(JAX)/bin/$(PYTEST) $(BACKEND_TESTS)

test-torch: $(TORCH)/.installed
	KERAS_BACKEND=torch $(TORCH)/bin/$(PYTEST) $(BACKEND_TESTS)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.lint
	$(BIN)/mypy

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Each stage against what one would do otherwise, in about an hour on an idle machine;
# writes docs/results. DATA=cifar-10-python.tar.gz ranks by CIFAR-10 instead of the
# embedded digits.
BENCHMARKS = emd ranking ranking_scaling training_step training_step_ideas kernel_gradient frozen_prefix \
	merged_inference startup grid_scaling exemplars

bench bench-quick: export TF_CPP_MIN_LOG_LEVEL = 3

bench: $(VENV)/.installed
	for name in $(BENCHMARKS); do \
		data=; test $$name = ranking && data="$(addprefix --data ,$(DATA))"; \
		$(BIN)/python benchmarks/$$name.py $$data || exit 1; done
	! test -x $(NUMPY2)/bin/python || \
		$(NUMPY2)/bin/python benchmarks/emd.py --out docs/results/bench-emd-numpy2.csv
	$(BIN)/python benchmarks/summary.py

# What they check before they time anything, and that they run; times mean nothing.
bench-quick: $(VENV)/.installed
	$(BIN)/python benchmarks/quick.py $(BENCHMARKS)

# Every experiment of the paper at toy size, on the embedded digits.
reproduce-quick: $(VENV)/.installed
	$(BIN)/python scripts/reproduce_quick.py

# Every summary, figure and text of the documentation anew, from the runs in docs/results.
results: $(VENV)/.installed
	$(BIN)/kerasft reproduce report
	$(BIN)/python scripts/comparison_tables.py
	$(BIN)/python scripts/real_images.py summaries
	$(BIN)/python benchmarks/summary.py
	$(BIN)/python scripts/readme_results.py

clean:
	rm -rf $(VENV) $(NUMPY2) $(JAX) $(TORCH) site kerasft-demo

$(VENV)/.installed: setup.cfg setup.py pyproject.toml
	@test -n "$(PYTHON)" || { echo "Expected Python 3.11 or 3.12. Received: none of python3.12, python3.11, python3; say make PYTHON=…"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

NUMPY2_PACKAGES = "numpy>=2" kmedoids "keras>=3.14" tensorflow scipy pandas scikit-learn \
	pillow matplotlib jinja2 click rich joblib pytest hypothesis pytest-xdist "dask[distributed]"

$(JAX)/.installed: BACKEND = jax
$(TORCH)/.installed: BACKEND = torch

# With NumPy 1, pip finds but old releases of JAX.
$(NUMPY2)/.installed $(JAX)/.installed $(TORCH)/.installed: %/.installed: setup.cfg setup.py pyproject.toml
	$(PYTHON) -m venv $*
	$*/bin/python -m pip install --quiet $(NUMPY2_PACKAGES) $(BACKEND)
	$*/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

# One more environment for each purpose would cost minutes; extras are added to
# the same one.
$(VENV)/.test $(VENV)/.lint $(VENV)/.docs: $(VENV)/.%: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	@touch $@
