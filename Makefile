# The verbs of Countersign. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo run code verify test soak lint fix proto bench smoke docs
MAKEFLAGS += --no-print-directory
PY := .venv/bin/python

help:
	@echo "make demo     set up, start everything, walk one withdrawal from request to confirmed transaction, stay up"
	@echo "              (EXIT=1 ends instead; PORT=8000 chooses the port)"
	@echo "make run      start everything on the state that var/ holds; Ctrl-C stops it"
	@echo "make code     the six digits with which you come into the console of a running stack: WHO=ana"
	@echo "make verify   check the audit log and the ledger's invariants of a running stack"
	@echo "make test     the short, repeatable suite (ARGS='tests/domain -k money' narrows it)"
	@echo "make soak     the long versions, with a seed that is printed (SEED=n repeats one)"
	@echo "make lint     ruff, mypy, import-linter, cargo fmt and clippy, generated code, tunnel rules"
	@echo "make fix      let the formatters and ruff repair what they can"
	@echo "make proto    generate the wire code, Python and Rust, from proto/"
	@echo "make bench    benchmarks, each against a named baseline in the same run"
	@echo "make smoke    each benchmark at its smallest: whether it still runs; no figure of it counts"
	@echo "make docs     redraw the diagrams and tables that docs/ takes from the code"

setup:
	@bin/setup

demo: setup
	@bin/seated $(PY) -m devstack.demo

run: setup
	@bin/seated $(PY) -m devstack run

code:
	@$(PY) -m devstack code "$(WHO)"

verify:
	@bin/seated $(PY) -m devstack verify

test:
	@bin/setup --tests
	@bin/test $(ARGS)

soak:
	@bin/setup --tests
	@bin/soak $(ARGS)

lint:
	@bin/setup --tests
	@bin/lint

fix: setup
	@$(PY) -m ruff check -q --fix . ; $(PY) -m ruff format -q .
	@cargo fmt --manifest-path engine/Cargo.toml --all

proto: setup
	@bin/proto

bench: setup
	@bin/bench $(ARGS)

smoke:
	@bin/setup --tests
	@bin/smoke

docs: setup
	@$(PY) -m devstack.drawing
