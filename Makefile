# Thin on purpose: every target is a small script in scripts/, which takes further arguments when called by itself.
.PHONY: help run test check fix bench docs constrain clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## install, prepare the example's data and serve examples/newsdesk at http://127.0.0.1:8000
	@scripts/run

test: ## run all tests, against private servers on free ports
	@scripts/test

check: ## lint, format, types, arrows between rooms, docs in step with the code
	@scripts/check

fix: ## mend what lint and format can mend by themselves
	@scripts/fix

bench: ## measure Hotplate beside its peers, into benchmarks/results/
	@scripts/bench

docs: ## write the reference pages that are made from the code
	@scripts/docs

constrain: ## resolve the newest versions of everything into constraints.txt
	@scripts/constrain

clean: ## remove .venv and what the tools left behind
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
