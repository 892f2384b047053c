#!/bin/sh
# shellcheck disable=SC2154 # test_utils.sh sets the directories and what was captured.
# shellcheck disable=SC2312 # What an assert compares is a substitution: a failing command there fails the assert.
#
# What bin/release prints for Heroku's and herokuish's YAML parsers.
# shellcheck source=support/testrunner/lib/test_utils.sh
. "${BUILDPACK_TEST_RUNNER_HOME:-${BUILDPACK_HOME:-${PWD}}/test/support/testrunner}/lib/test_utils.sh"
# shellcheck source=support/suite.sh
. "${BUILDPACK_HOME:-${PWD}}/test/support/suite.sh"

test_a_site_with_a_postgres_driver_asks_for_a_database_too() {
	use_fixture sample_site
	with_python
	with_waitress_cached
	compile

	release

	assertCapturedSuccess
	assertCapturedEquals "---
addons:
  - heroku-postgresql
default_process_types:
  web: headwaiter guestbook.wsgi:application"
}

test_a_site_in_a_directory_without_a_driver() {
	use_fixture sample_site
	mkdir "${BUILD_DIR}/back-end"
	mv "${BUILD_DIR}/manage.py" "${BUILD_DIR}/guestbook" "${BUILD_DIR}/notes" "${BUILD_DIR}/back-end"
	printf 'django<5.3\ndj-database-url\nwhitenoise\n' >"${BUILD_DIR}/requirements.txt"
	with_python
	with_waitress_cached
	compile

	release

	assertCapturedSuccess
	assertCapturedEquals "---
default_process_types:
  web: headwaiter --chdir=back-end guestbook.wsgi:application"
}

test_without_a_build_it_fails_and_prints_nothing_for_the_parser() {
	release

	assertEquals 1 "${RETURN}"
	assertCapturedEquals ""
	assertFileContains "/.heroku/headwaiter/release.yml: No such file" "${STD_ERR}"
}
