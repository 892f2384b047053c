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
get_wsgi_application and its settings.

We saw a manage.py, which is not Django's:
    manage.py

1. Check that the site is committed: 'git ls-files \"*manage.py\"'.
2. If it's deeper than six directories, or its manage.py is unusual,
   name its directory in app.json in the root:
       {\"env\": {\"HEADWAITER_DIR\": \"path/to/site\"}}
3. If this isn't a Django app, remove this buildpack:
       heroku buildpacks"
}

test_library_is_told_how_to_point_at_its_example() {
	commit_site "example/" example.settings

	detect

	assertRefused "Error: This repository has a Django manage.py, but none of a site.

We saw:
    example/manage.py is below example/

This looks like a library or a template, whose manage.py serves its
own tests, examples or documentation. If one of them is the site to
deploy, name its directory in app.json in the root, and commit it:

    {\"env\": {\"HEADWAITER_DIR\": \"example\"}}"

	echo '{"env": {"HEADWAITER_DIR": "example"}}' | commit app.json

	detect

	assertAppDetected "Django (Waitress)"
}

test_pointing_at_nothing() {
	commit_site "" mysite.settings
	echo '{"env": {"HEADWAITER_DIR": {"value": "back"}}}' | commit app.json

	detect

	assertRefused "Error: HEADWAITER_DIR doesn't lead to a Django site.

Its value is 'back', and there is no such directory.

HEADWAITER_DIR names the directory that has the site's manage.py,
relative to the root of the repository, such as 'backend' or '.'.
Correct it, or remove it to have the site searched for."
}

test_empty_repository() {
	detect

	assertEquals "Exit status" 1 "${RETURN}"
	assertCapturedEquals ""
	assertFileContains "We saw no manage.py." "${STD_ERR}"
}
