# Contents: what a developer can ask for. The work is done by test/support/ and the tools in .tools/.
.PHONY: run test test-all lint format lock bench tools
PYTHON := .tools/venv/bin/python

# make run [APP=path/to/a/django/repository] [PORT=8000]: build it as Heroku would, boot it, print its address.
run: tools
	@$(PYTHON) test/support/run.py $(if $(APP),--app '$(APP)') $(if $(PORT),--port '$(PORT)') $(RUN_OPTIONS)

# make test [TEST=name]: the shunit2 suites and pytest, as an ordinary user; TEST picks files by a part of their name.
test: tools
	@$(PYTHON) test/support/suites.py $(TEST)

# make test-all: with the package managers, and once more what concerns the server as root, where root starts it.
test-all: tools
	@test/support/tools.sh managers
	@$(PYTHON) test/support/suites.py --all $(TEST)

lint: tools
	@test/support/lint.sh check

format: tools
	@test/support/lint.sh fix

lock:
	@test/support/lock.sh

# make bench [BENCH_OPTIONS=--quick]: measure, as an ordinary user.
bench: tools
	@test/support/tools.sh bench
	@$(PYTHON) test/bench/__main__.py $(BENCH_OPTIONS)

tools:
	@test/support/tools.sh test
