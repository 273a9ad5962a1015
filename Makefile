# Every target sets up .venv when it is missing or older than what it was made from. Nothing but Python is needed; with
# Node on the machine `make test` tests the web page's sources too.
# Variables: PYTHON (which Python makes .venv), TORCH_INDEX (a package index with CPU builds of PyTorch),
#            MODEL and ARGS (what `make serve` serves; further flags of the command a target runs).
PYTHON ?= python3
MODEL ?=
ARGS ?=
BIN := .venv/bin
MADE_FROM := pyproject.toml constraints.txt constraints-cpu.txt
CLIENTS := $(patsubst tests/e2e/clients/%.txt,.venv-%/installed,$(wildcard tests/e2e/clients/*.txt))
export TORCH_INDEX

.PHONY: help install serve web test test-full clients check bench bench-full train-nano clean
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*##/\t/' | expand -t 14

.venv/installed: $(MADE_FROM)
	@$(PYTHON) bootstrap.py

.venv/installed-dev: $(MADE_FROM)
	@$(PYTHON) bootstrap.py --dev

.venv-%/installed: tests/e2e/clients/%.txt | .venv/installed-dev
	@$(BIN)/python -m venv --clear .venv-$*
	@.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@

install: .venv/installed  ## make .venv and install flashweb into it

serve: .venv/installed  ## start the server (MODEL=folder or hub id, ARGS="--port 9000 ...")
	@exec $(BIN)/flashweb serve $(MODEL) $(ARGS)

web: .venv/installed  ## build the web page into the package (needs Node; without it the built one is used as it is)
	@$(BIN)/python web/tools/openapi.py
	@$(BIN)/python web/tools/page.py build

check: .venv/installed-dev  ## lint and types
	$(BIN)/ruff check .
	$(BIN)/mypy

test: check  ## what CI runs: lint, types, the quick tests (needs only Python; ARGS="-n 0": in one process)
	@$(BIN)/python web/tools/page.py test
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not slow and not gpu" $(ARGS)

test-full: check clients  ## everything, slow and GPU tests too; the outcome goes to benchmarks/results/test-full.json
	@$(BIN)/python web/tools/page.py test
	$(BIN)/python benchmarks/test_full.py $(ARGS)

clients: $(CLIENTS)  ## environments with other people's clients (LangChain, LiteLLM, ...), for the tests of test-full

bench: .venv/installed  ## load on the server at port 8080: first token, time per token, requests/s
	$(BIN)/flashweb bench $(ARGS)

bench-full: .venv/installed-dev  ## measure every figure of the READMEs (half an hour; ARGS="eval bench" for some)
	$(BIN)/python benchmarks/all.py $(ARGS)

train-nano: .venv/installed-dev  ## train the bundled model from scratch (needs a GPU; see training/README.md)
	PYTHON=$(BIN)/python training/run.sh $(ARGS)

clean:  ## remove .venv and caches
	rm -rf .venv .venv-* web/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
