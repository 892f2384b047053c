#!/bin/sh
# shellcheck disable=SC2154 # test_utils.sh sets the directories and what was captured.
# shellcheck disable=SC2016 # Dollars in a Procfile and in config vars are to stay.
# shellcheck disable=SC2312 # What an assert compares is a substitution: a failing command there fails the assert.
#
# What bin/compile says and leaves behind.
# shellcheck source=support/testrunner/lib/test_utils.sh
. "${BUILDPACK_TEST_RUNNER_HOME:-${BUILDPACK_HOME:-${PWD}}/test/support/testrunner}/lib/test_utils.sh"
# shellcheck source=support/suite.sh
. "${BUILDPACK_HOME:-${PWD}}/test/support/suite.sh"

beforeTearDown() { with_network; }

build_sample_site() {
	use_fixture sample_site
	with_python
	with_waitress_cached
	compile
}

test_a_site_gets_waitress_headwaiter_and_a_web_process() {
	build_sample_site
	keep_waitress

	assertCapturedSuccess
	assertCaptured "-----> Using the site's Python 3."
	assertCaptured "       Django 5.2"
	assertCaptured "       Application: guestbook.wsgi:application"
	assertCaptured "       Settings:    guestbook.settings"
	assertCaptured "-----> Installing Waitress"
	assertCaptured "-----> Installing headwaiter $(PYTHONPATH="${BUILDPACK_HOME}/lib" python3 -c 'import headwaiter; print(headwaiter.VERSION)')"
	assertCaptured "       requirements.txt agrees with requirements.in"
	assertCaptured "       web: headwaiter guestbook.wsgi:application"
	assertCaptured "2 web dynos x 1 process x"
	assertNotCaptured "Warning"
	for file in bin/headwaiter bin/waitress-serve python/waitress/__init__.py python/headwaiter/__init__.py project.json; do
		assertTrue "${file} is missing" "[ -s '${BUILD_DIR}/.heroku/headwaiter/${file}' ]"
	done
	assertEquals "Left in the build cache" "waitress-3.0.2-py3-none-any.whl" "$(ls "${CACHE_DIR}/headwaiter")"
}

test_the_second_build_needs_no_network() {
	use_fixture sample_site
	with_python
	compile
	rm -rf "${BUILD_DIR}/.heroku/headwaiter" "${BUILD_DIR}/.profile.d"
	without_network

	compile

	assertCapturedSuccess
	assertCaptured "       Waitress 3.0.2, from the build cache"
}

test_a_damaged_wheel_in_the_cache_is_replaced() {
	use_fixture sample_site
	with_python
	mkdir "${CACHE_DIR}/headwaiter"
	echo damaged >"${CACHE_DIR}/headwaiter/waitress-3.0.2-py3-none-any.whl"

	compile

	assertCapturedSuccess
	assertCaptured "       Waitress 3.0.2, downloading, since the copy in the build cache is damaged"
	assertTrue "Waitress isn't in the slug" "[ -s '${BUILD_DIR}/.heroku/headwaiter/python/waitress/server.py' ]"
}

test_an_unreachable_index_is_explained() {
	use_fixture sample_site
	with_python
	without_network

	compile

	assertCapturedError 1 " !     Error: Waitress 3.0.2 couldn't be downloaded."
	assertCaptured " !     build again. The wheel is then kept in the build cache, and later builds"
	assertCaptured " !       heroku config:set PIP_INDEX_URL=https://..."
	assertNotCaptured "Internal Error"
}

test_no_python_means_heroku_python_has_not_run() {
	use_fixture sample_site

	compile

	assertCapturedError 1 "Error"
	assertCapturedExactly "
 !     Error: There's no Python in this build.
 !
 !     This buildpack adds Waitress to what heroku/python installs, but
 !     heroku/python hasn't run: it's missing from the app's buildpacks, or it
 !     comes after this one ('heroku buildpacks', app.json, .buildpacks).
 !
 !     Put it first:
 !       heroku buildpacks:add --index 1 heroku/python
 !
 !     Where that says it's already set, 'heroku buildpacks' lists it too late.
 !     Take it off, then put it first:
 !       heroku buildpacks:remove heroku/python
 !       heroku buildpacks:add --index 1 heroku/python"
}

test_an_old_python_is_refused() {
	use_fixture sample_site
	mkdir -p "${BUILD_DIR}/.heroku/python/bin"
	printf '#!/bin/sh\necho 3.9.18\n' >"${BUILD_DIR}/.heroku/python/bin/python"
	chmod +x "${BUILD_DIR}/.heroku/python/bin/python"

	compile

	assertCapturedError 1 " !     Error: Python 3.9.18 is too old."
}

test_a_site_without_django_is_refused() {
	use_fixture sample_site
	echo whitenoise >"${BUILD_DIR}/requirements.txt"
	with_python

	compile

	assertCapturedError 1 " !     Error: Django isn't installed."
}

test_a_stale_lock_is_a_warning_that_names_the_command() {
	use_fixture sample_site
	with_python
	with_waitress_cached
	printf 'django>=6.1\nwhitenoise\nceleryrabbit\n' >"${BUILD_DIR}/requirements.in"

	compile

	assertCapturedSuccess
	assertCaptured " !     Warning: requirements.txt doesn't agree with requirements.in:"
	assertCaptured " !       - celeryrabbit is missing"
	assertCaptured ", but >=6.1 is asked for"
	assertCaptured " !       make lock"
}

test_the_procfile_wins_and_the_log_says_what_it_starts() {
	use_fixture sample_site
	with_python
	with_waitress_cached
	echo 'web: gunicorn guestbook.wsgi --log-file -' >"${BUILD_DIR}/Procfile"

	compile

	assertCapturedSuccess
	assertCaptured "       The Procfile has its own web process, which wins. It starts gunicorn, not headwaiter."
	assertCaptured "         web: headwaiter guestbook.wsgi:application"
	assertCaptured "         release: python manage.py migrate --noinput"
}

test_runserver_is_a_warning() {
	use_fixture sample_site
	with_python
	with_waitress_cached
	echo 'web: python manage.py runserver 0.0.0.0:$PORT' >"${BUILD_DIR}/Procfile"

	compile

	assertCapturedSuccess
	assertCaptured " !     Warning: the Procfile's web process is runserver, Django's development server."
}

test_config_vars_are_data() {
	printf 'x\n$(touch %s/executed)`touch %s/executed`"'"'" "${OUTPUT_DIR}" "${OUTPUT_DIR}" >"${ENV_DIR}/SECRET"
	printf 'top-secret-value' >"${ENV_DIR}/not an identifier; touch executed"
	printf '\000\377' >"${ENV_DIR}/BINARY"
	: >"${ENV_DIR}/EMPTY"
	printf '/nowhere' >"${ENV_DIR}/PATH"

	build_sample_site

	assertCapturedSuccess
	assertNotCaptured "top-secret-value"
	assertFalse "A config var was executed" "[ -e '${OUTPUT_DIR}/executed' ] || [ -e executed ]"
}

test_a_mistake_of_ours_names_the_line() {
	use_fixture sample_site
	with_python
	with_waitress_cached
	# A file where the build needs a directory.
	rm -rf "${BUILD_DIR}/.profile.d"
	echo >"${BUILD_DIR}/.profile.d"

	compile

	assertNotEquals 0 "${RETURN}"
	assertCaptured " !     Internal Error: a command failed with status 1:"
	assertCaptured "at lib/buildpack/steps/headwaiter.sh, line"
	assertCaptured "at bin/compile, line"
	assertEquals "" "$(cat "${STD_ERR}")"
}
