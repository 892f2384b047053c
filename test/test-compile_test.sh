#!/bin/sh
# shellcheck disable=SC2154 # test_utils.sh sets the directories and what was captured.
# shellcheck disable=SC2312 # What an assert compares is a substitution: a failing command there fails the assert.
#
# Heroku CI: bin/test-compile, .profile.d, bin/test.
# shellcheck source=support/testrunner/lib/test_utils.sh
. "${BUILDPACK_TEST_RUNNER_HOME:-${BUILDPACK_HOME:-${PWD}}/test/support/testrunner}/lib/test_utils.sh"
# shellcheck source=support/suite.sh
. "${BUILDPACK_HOME:-${PWD}}/test/support/suite.sh"

# On Heroku CI the build directory is the dyno's: with_python gives .heroku/python that very path.
prepare() {
	use_fixture sample_site
	with_python
	with_waitress_cached
	test_compile
	ORIGINAL_PATH="${PATH}"
	PATH="${BUILD_DIR}/.heroku/python/bin:${PATH}"
}

afterTearDown() { PATH="${ORIGINAL_PATH:-${PATH}}"; }

test_the_sites_own_tests_run_and_pass() {
	prepare
	assertCapturedSuccess

	run_tests

	assertEquals "$(cat "${STD_ERR}")" 0 "${RETURN}"
	assertCaptured "-----> Testing with manage.py test --noinput in ."
	assertFileContains "Ran 3 tests" "${STD_ERR}"
}

test_a_failing_test_fails_the_run() {
	prepare
	echo "class Broken(TestCase): test_it = lambda self: self.fail('on purpose')" >>"${BUILD_DIR}/notes/tests.py"

	run_tests

	assertEquals 1 "${RETURN}"
	assertFileContains "on purpose" "${STD_ERR}"
}
