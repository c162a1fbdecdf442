# Every target sets up what it needs, in .venv, and does again only what a change asks for.
#
#   make book PYTHON=python3.12     another Python (3.11 to 3.13)
#   make book PORT=9000             another port than 8000
#   make test ROOM=exercises        the tests of one room: a folder of tests/
#   make test PROCESSES=8           tests in so many processes: 4 for all of them, one a core for a room's
#   make html BOOK_URL=https://...  for publishing: canonical links and a sitemap need the site's address

PYTHON    ?= python3
PORT      ?= 8000
PROCESSES ?= $(if $(ROOM),auto,4)
VENV      := .venv
BIN       := $(VENV)/bin

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help book html pdf serve exercises lite-runtime test check style bench bench-quick linkcheck mutants claims translations pot format lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

book: html serve ## Build the book, serve it on this machine and print its address

# A build that was interrupted left pages but no index: Sphinx would index only the pages that it writes again.
html: $(VENV)/.book ## Build the book in _build/html; every warning is an error
	@[ -f _build/html/searchindex.js ] || rm -rf _build/html
	$(BIN)/jupyter-book build . -W -n --keep-going

pdf: html ## Print the whole book as _build/pdf/batch-normalization.pdf, with Chromium
	$(BIN)/python book/tools/pdf.py _build/html _build/pdf/batch-normalization.pdf

serve: $(VENV)/.book ## Serve the book that was built
	@$(BIN)/python book/tools/serve.py _build/html $(PORT)

exercises: exercises/release/batch-norm ## Open the exercises, without their solutions, in JupyterLab
	$(BIN)/jupyter lab exercises/release/batch-norm

# Made once: a learner works in these notebooks, so they are never written over.
exercises/release/batch-norm: | $(VENV)/.book
	cd exercises && ../$(BIN)/nbgrader generate_assignment batch-norm --create

lite-runtime: $(VENV)/.book ## Take Pyodide from a distribution, for "Run it here": DIR=folder or .tar.bz2
	@PYTHONPATH=book/_ext $(BIN)/python -m bn_site.lite.runtime "$(DIR)"

# Types are checked beside the tests, because a first time takes mypy half a minute of one core. Four processes keep two
# cores busy 97 % of the time: a test often waits for a browser, a sandbox or a limit.
# One room's tests take the executed chapters of `make html`, where they need the book. Each process collects them anew,
# which for a room is much of the work: a process for each core is the fastest.
test: style ## Check style and types, and run every test, or those of one room: ROOM=exercises (a folder of tests/)
	$(BIN)/mypy & types=$$!; \
	$(if $(ROOM),BOOK_CACHE="$(CURDIR)/_build/.jupyter_cache") \
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder $(ROOM:%=tests/%) $(ARGS); \
	tests=$$?; \
	wait $$types && exit $$tests

check: style ## Check style and types
	$(BIN)/mypy

style: $(VENV)/.test ## Check style only, which takes a second
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(VENV)/.test ## Measure speed, memory and exactness beside PyTorch, for the book's page of results
	$(BIN)/python -m benchmarks

bench-quick: $(VENV)/.test ## The same with fewer rounds and sizes, in under a minute; the page stays as it is
	$(BIN)/python -m benchmarks --quick

linkcheck: $(VENV)/.book ## Ask the other sites that the book links to whether their pages are still there
	$(BIN)/jupyter-book build . --builder linkcheck

mutants: $(VENV)/.book ## Grade the grader: known mistakes and known right answers through every problem
	$(BIN)/python -m bn_exercises.accuracy

claims: $(VENV)/.book ## Measure every claim of the ledger with 5 seeds, on all cores: ARGS="--seeds 9 --scheduler tcp://..."
	$(BIN)/python book/tools/claims.py $(ARGS)

# Without dates, and of places only the file: so they change when a text does, and not when a line moves.
LOCALE := exercises/bn_exercises/locale

translations: $(VENV)/.book ## Collect what is to be translated, bring every language up to date, and compile
	cd exercises && ../$(BIN)/pybabel -q extract --no-wrap --omit-header --add-location=file --sort-by-file \
	  --mapping ../babel.cfg --output-file ../$(LOCALE)/bn_exercises.pot . ../book/_ext ../book/_static
	$(BIN)/pybabel -q update --no-wrap --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date \
	  -D bn_exercises -i $(LOCALE)/bn_exercises.pot -d $(LOCALE)
	$(BIN)/pybabel compile --statistics -D bn_exercises -d $(LOCALE)

# In a folder of its own: two of Sphinx's builders cannot share what they have read of the pages.
pot: $(VENV)/.book ## Write the texts of the book's pages to _build/pot/_build/gettext, for a translation of its prose
	BOOK_CACHE=$(CURDIR)/_build/.jupyter_cache \
	  $(BIN)/jupyter-book build . --path-output _build/pot --builder custom --custom-builder gettext

format: $(VENV)/.test ## Put the code in its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.python ## Derive requirements.txt from pyproject.toml again
	$(BIN)/python -m pip install --quiet uv
	head -n 2 requirements.txt > requirements.new
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --no-annotate --no-header \
	  pyproject.toml --extra book --extra course --extra dev >> requirements.new
	mv requirements.new requirements.txt

clean: ## Remove what was built; the environment stays (it is the folder .venv)
	rm -rf _build

define install
$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.txt -e $(1)
endef

# pip would compile 15,000 files on one core, half a minute of them. Those written for another Python stay as they are,
# and so do other packages' tests.
COMPILE := $(BIN)/python -m compileall -qq -j 0 -x '[/\\]tests[/\\]' $(VENV)/lib || true

# The files below are empty: their dates say when a step was last done.

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "The book is built with Python 3.11, 3.12 or 3.13, and $(PYTHON) is not (or is missing): $$($(PYTHON) --version 2>&1)."; \
	    echo "If you have one under another name: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.book: $(VENV)/.python requirements.txt pyproject.toml
	@echo "Installing the pinned packages (some minutes the first time)"
	$(call install,.)
	@$(COMPILE)
	@touch $@

$(VENV)/.test: $(VENV)/.python requirements.txt pyproject.toml tests/site/package.json tests/site/package-lock.json tests/site/wheels.txt
	@echo "Installing the pinned packages and what the tests compare with (some minutes the first time)"
	$(call install,'.[test]')
	@($(COMPILE)) & \
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --prefix tests/site --no-audit --no-fund --loglevel=error && \
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.14 \
	  --require-hashes --dest tests/site/wheels -r tests/site/wheels.txt; done=$$?; wait; exit $$done
	@touch $@ $(VENV)/.book
