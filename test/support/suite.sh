#!/bin/sh
# shellcheck disable=SC2154 # test_utils.sh sets BUILDPACK_HOME, the directories and the captured streams.
# shellcheck disable=SC2312 # What an assert compares is a substitution: a failing command there fails the assert.
#
# What the suites add to test_utils.sh. Plain sh, as there.

# use_fixture NAME: the build directory becomes a copy of test/fixtures/NAME.
use_fixture() { cp -R "${BUILDPACK_HOME}/test/fixtures/$1/." "${BUILD_DIR}"; }

# assertCapturedExactly TEXT: standard output is this, line for line.
assertCapturedExactly() { assertEquals "Standard output of: ${LAST_COMMAND}" "$1" "$(cat "${STD_OUT}")"; }

# with_python: .heroku/python with the site's packages, as heroku/python would leave it in the build directory.
with_python() {
	DISABLE_COLLECTSTATIC=1 python3 "${BUILDPACK_HOME}/test/support/heroku_python.py" "${BUILD_DIR}" "${SUITE_CACHE}" \
		"${ENV_DIR}" --app-dir "${BUILD_DIR}" --export "${OUTPUT_DIR}/export" --python python3 >"${OUTPUT_DIR}/python.log" 2>&1 \
		|| fail "heroku/python's stand-in failed: $(cat "${OUTPUT_DIR}/python.log")"
}

# A directory that outlives the suite: packages and Waitress's wheel are fetched once.
SUITE_CACHE="${HEADWAITER_TEST_CACHE:-${TMPDIR:-/tmp}/headwaiter-test-cache-$(id -u)}"
mkdir -p "${SUITE_CACHE}"

# with_waitress_cached: the build cache holds the wheel, as after an earlier build; fetched by a build the first time.
with_waitress_cached() {
	mkdir -p "${CACHE_DIR}/headwaiter"
	cp "${SUITE_CACHE}"/headwaiter/waitress-*.whl "${CACHE_DIR}/headwaiter/" 2>/dev/null || true
}

keep_waitress() {
	mkdir -p "${SUITE_CACHE}/headwaiter"
	cp "${CACHE_DIR}"/headwaiter/waitress-*.whl "${SUITE_CACHE}/headwaiter/"
}

# without_network: pip finds no index.
without_network() {
	PIP_INDEX_URL="http://127.0.0.1:9/simple"
	PIP_CONFIG_FILE=/dev/null
	PIP_RETRIES=0
	export PIP_INDEX_URL PIP_CONFIG_FILE PIP_RETRIES
}

with_network() { unset PIP_INDEX_URL PIP_CONFIG_FILE PIP_RETRIES; }

test_compile() { capture "${BUILDPACK_HOME}/bin/test-compile" "${BUILD_DIR}" "${CACHE_DIR}" "${ENV_DIR}"; }
run_tests() { capture "${BUILDPACK_HOME}/bin/test" "${BUILD_DIR}" "${ENV_DIR}"; }
