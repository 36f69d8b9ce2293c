# make demo      the main job on real DICOM files, then what happened; needs no root and no apt
# make test      everything, with real peers (Orthanc, DCMTK; installed by apt where they are missing)
# make lint      format, lint, strict types, import contracts
# make bench     benchmarks against peers
# make fuzz      each fuzzer for FUZZ_SECONDS (600), by coverage; what breaks a law is left in .fuzz/findings
# make soak      mixed clients for SOAK_MINUTES (30), with faults: flat memory, no lost record
# make mutants   mutation testing of the decision core; hours. A share of the mutants: make mutants MUTANTS=0.25
# make schemas reference   the published schemas, and the reference in docs, as the code says them
# make install   the environment in .venv, with the tools of development; another Python: make install PYTHON=python3.12

.DELETE_ON_ERROR:
.PHONY: install demo peers test lint format schemas reference bench fuzz mutants clean

BIN := .venv/bin
# setuptools warns of any editable install whose packages lie in two folders
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --quiet --disable-pip-version-check

install: .venv/installed-dev

# A stamp is as old as the last install; a changed pyproject.toml installs again.
.venv/installed: pyproject.toml .ci/environment .ci/apt-install
	@.ci/environment .venv
	$(PIP) install --editable .
	@touch $@

.venv/installed-dev: pyproject.toml .venv/installed
	$(PIP) install --editable '.[dev]'
	@touch $@

demo: .venv/installed
	@$(BIN)/hirules demo

peers: install
	@tests/peers/install.sh

test: install peers
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The published schemas, as the code says them; tests compare.
schemas: install
	@for name in audit-record configuration policy policy-set policy-test; do \
		$(BIN)/hirules schema $$name > schemas/$$name.schema.json.new || exit 1; \
		mv schemas/$$name.schema.json.new schemas/$$name.schema.json; \
	done

# The pages of docs/reference; tests compare.
reference: install
	$(BIN)/python -m hirules.assemble.reference docs/reference

bench: install peers
	$(BIN)/python -m benchmarks.install
	$(BIN)/python -m benchmarks

FUZZ_SECONDS := 600
fuzz: install
	$(BIN)/python -W ignore -m tests.fuzz --seconds $(FUZZ_SECONDS) --jobs 2

SOAK_MINUTES := 30
soak: install peers
	$(BIN)/python -m tests.soak --minutes $(SOAK_MINUTES)

MUTANTS := 1
mutants: install
	$(PIP) install --editable '.[mutation]'
	$(BIN)/python -m tests.mutation --share $(MUTANTS)

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .fuzz mutants
