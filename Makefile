# Contents: what a developer can ask for. The work is done by scripts/ and the tools in .tools/.
.PHONY: run test test-all fuzz lint format lock bench tools
PYTHON := .tools/venv/bin/python

# make run [APP=path/to/a/django/repository] [PORT=8000]: build it as Heroku would, boot it, print its address.
run: tools
	@$(PYTHON) scripts/run_site.py $(if $(APP),--app '$(APP)') $(if $(PORT),--port '$(PORT)') $(RUN_OPTIONS)

# make test [TEST=name]: the shunit2 suites and pytest, as an ordinary user; TEST picks files by a part of their name.
test: tools
	@$(PYTHON) scripts/run_tests.py $(TEST)

# make test-all: also the slow tests, with package managers, databases and other programs that it brings into .tools;
# where root starts it, what concerns the server runs once more as root. TEST_OPTIONS=--strict: hardly a test may be skipped.
test-all: tools
	@scripts/tools.sh managers
	@scripts/tools.sh programs
	@scripts/tools.sh heroku-cli
	@$(PYTHON) scripts/run_tests.py --all $(TEST_OPTIONS) $(TEST)

# make fuzz [FUZZ_OPTIONS="--seconds=60 --seed=1 --burn"]: an hour of broken requests; make test has ten seconds of them,
# make test-all a minute.
fuzz: tools
	@PYTHONPATH=lib $(PYTHON) test/support/fuzz.py $(FUZZ_OPTIONS)

lint: tools
	@scripts/lint.sh check

format: tools
	@scripts/lint.sh fix

lock:
	@scripts/lock.sh

# make bench [BENCH_OPTIONS=--quick]: measure, as an ordinary user.
bench: tools
	@scripts/tools.sh bench
	@scripts/tools.sh programs
	@$(PYTHON) test/bench/__main__.py $(BENCH_OPTIONS)

tools:
	@scripts/tools.sh test
