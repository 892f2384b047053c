# Contents: what a developer can ask for. The work is done by test/support/ and the tools in .tools/.
.PHONY: run test lint format lock bench tools
PYTHON := .tools/venv/bin/python

# make run [APP=path/to/a/django/repository] [PORT=8000]: build it as Heroku would, boot it, print its address.
run: tools
	@$(PYTHON) test/support/run.py $(if $(APP),--app '$(APP)') $(if $(PORT),--port '$(PORT)') $(RUN_OPTIONS)

# make test [TEST=name]: the shunit2 suites and pytest; TEST picks files by a part of their name.
test: tools
	@$(PYTHON) test/support/suites.py $(TEST)

lint: tools
	@test/support/lint.sh check

format: tools
	@test/support/lint.sh fix

lock:
	@test/support/lock.sh

bench: tools
	@test/support/tools.sh bench
	@$(PYTHON) test/bench/__main__.py $(BENCH_OPTIONS)

tools:
	@test/support/tools.sh test
