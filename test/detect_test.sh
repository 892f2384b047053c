#!/bin/sh
# shellcheck disable=SC2154 # test_utils.sh sets the directories and what was captured.
# shellcheck disable=SC2312 # What an assert compares is a substitution: a failing command there fails the assert.
#
# bin/detect as Heroku calls it. test/unit/test_detect.py has the many ways to lay out a repository.
# shellcheck source=support/testrunner/lib/test_utils.sh
. "${BUILDPACK_TEST_RUNNER_HOME:-${BUILDPACK_HOME:-${PWD}}/test/support/testrunner}/lib/test_utils.sh"

# commit PATH: a file of the repository, from standard input.
commit() {
	mkdir -p "${BUILD_DIR}/$(dirname "$1")"
	cat >"${BUILD_DIR}/$1"
}

commit_site() {
	commit "$1manage.py" <<-EOF
		import os
		os.environ.setdefault("DJANGO_SETTINGS_MODULE", "$2")
		from django.core.management import execute_from_command_line
		execute_from_command_line()
	EOF
}

# The testrunner's assertNoAppDetected wants "no" on standard output, which herokuish would take for the name.
assertRefused() {
	assertEquals "Exit status" 1 "${RETURN}"
	assertCapturedEquals ""
	assertEquals "$1" "$(cat "${STD_ERR}")"
}

test_site_in_the_root() {
	commit_site "" mysite.settings

	detect

	assertAppDetected "Django (Waitress)"
}

test_site_in_a_directory() {
	commit_site "src/back end/" mysite.settings

	detect

	assertAppDetected "Django (Waitress)"
}

test_other_framework_is_told_what_was_seen() {
	printf 'from flask_script import Manager\n' | commit manage.py
	printf 'flask\n' | commit requirements.txt

	detect

	assertRefused "Error: No Django site was found in this repository.

We looked for a manage.py that names DJANGO_SETTINGS_MODULE or calls
execute_from_command_line, or else for a WSGI module that calls Django's
get_wsgi_application and its settings. In the root there is:
    manage.py
    requirements.txt

1. Check that the site is committed: 'git ls-files \"*manage.py\"'.
2. If its files are unusual, name its directory in app.json in the root:
       {\"env\": {\"HEADWAITER_DIR\": \"path/to/site\"}}
3. If it's a single file, name its application in the Procfile:
       web: headwaiter counter:app
4. If this isn't a Django app, remove this buildpack:
       heroku buildpacks"
}

test_library_passes_since_compile_explains() {
	commit_site "example/" example.settings

	detect

	assertAppDetected "Django (Waitress)"
}

test_empty_repository() {
	detect

	assertEquals "Exit status" 1 "${RETURN}"
	assertCapturedEquals ""
	assertFileContains "No Django site was found" "${STD_ERR}"
}
