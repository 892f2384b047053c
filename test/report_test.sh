#!/bin/sh
# shellcheck disable=SC2154 # test_utils.sh sets the directories and what was captured.
# shellcheck disable=SC2312 # What an assert compares is a substitution: a failing command there fails the assert.
#
# bin/report answers with a flat JSON object, whatever has become of the build.
# shellcheck source=support/testrunner/lib/test_utils.sh
. "${BUILDPACK_TEST_RUNNER_HOME:-${BUILDPACK_HOME:-${PWD}}/test/support/testrunner}/lib/test_utils.sh"
# shellcheck source=support/suite.sh
. "${BUILDPACK_HOME:-${PWD}}/test/support/suite.sh"

# assertReports EXPRESSION: a Python expression on the object `report` is true. (Not through assertTrue: shunit2 2.1.6
# makes one line of a program.)
assertReports() {
	status=0
	python3 -c '
import json, sys
report = json.load(open(sys.argv[1]))
assert not any(isinstance(value, (list, dict)) for value in report.values())
sys.exit(not eval(sys.argv[2]))' "${STD_OUT}" "$1" || status=$?
	assertEquals "$1 in $(cat "${STD_OUT}")" 0 "${status}"
}

test_after_a_build() {
	use_fixture sample_site
	with_python
	with_waitress_cached
	compile

	report

	assertCapturedSuccess
	assertReports 'report["status"] == "succeeded"'
	assertReports 'report["wsgi_application"] == "guestbook.wsgi:application"'
	assertReports 'report["database_plan"] == "heroku-postgresql:essential-0" and report["web_dynos"] == 2'
	assertReports '0 < report["waitress_seconds"] < report["total_seconds"]'
}

test_after_a_failure() {
	use_fixture sample_site
	compile

	report

	assertCapturedSuccess
	assertReports 'report["status"] == "failed" and report["failure"] == "python-missing"'
	assertReports 'report["failure_step"] == "python"'
}

test_without_a_build() {
	rm -rf "${CACHE_DIR}"

	report

	assertCapturedSuccess
	assertCapturedEquals "{}"
}
