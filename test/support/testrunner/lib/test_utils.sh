#!/bin/sh
# shellcheck disable=SC2034,SC2154 # The suites and shunit2 read what is set here, and shunit2 sets SHUNIT_TMPDIR.
# shellcheck disable=SC2312 # What an assert compares is a substitution: a failing command there fails the assert.
#
# Stands in for lib/test_utils.sh of heroku-buildpack-testrunner, so that `make test` needs no second repository:
# the same directories, commands and asserts, for the suites in test/*_test.sh. The real one takes its place where
# BUILDPACK_TEST_RUNNER_HOME is set: https://github.com/heroku/heroku-buildpack-testrunner
#
# Plain sh, since shunit2 starts with `#! /bin/sh`, which is dash on Debian.

BUILDPACK_HOME="${BUILDPACK_HOME:-${PWD}}"

# Suites override these four. setUp and tearDown belong to this file.
beforeSetUp() { :; }
afterSetUp() { :; }
beforeTearDown() { :; }
afterTearDown() { :; }

setUp() {
	beforeSetUp
	OUTPUT_DIR="$(mktemp -d "${SHUNIT_TMPDIR}/output.XXXXXX")"
	STD_OUT="${OUTPUT_DIR}/stdout"
	STD_ERR="${OUTPUT_DIR}/stderr"
	BUILD_DIR="${OUTPUT_DIR}/build"
	CACHE_DIR="${OUTPUT_DIR}/cache"
	ENV_DIR="${OUTPUT_DIR}/env"
	mkdir "${BUILD_DIR}" "${CACHE_DIR}" "${ENV_DIR}"
	afterSetUp
}

tearDown() {
	# shunit2 2.1.8 calls tearDown once more when a suite dies, perhaps before any setUp.
	[ -n "${OUTPUT_DIR:-}" ] || return 0
	beforeTearDown
	rm -rf "${OUTPUT_DIR}"
	afterTearDown
}

# Runs a command; leaves its streams in STD_OUT and STD_ERR and its status in RETURN. Splits arguments at spaces, as the
# real one does: a suite that breaks there is to break here.
capture() {
	LAST_COMMAND="$*"
	RETURN=0
	# shellcheck disable=SC2048,SC2086 # See above.
	$* >"${STD_OUT}" 2>"${STD_ERR}" || RETURN=$?
	rtrn="${RETURN}"
}

resetCapture() {
	rm -f "${STD_OUT}" "${STD_ERR}"
	unset LAST_COMMAND RETURN rtrn
}

detect() { capture "${BUILDPACK_HOME}/bin/detect" "${BUILD_DIR}"; }
compile() { capture "${BUILDPACK_HOME}/bin/compile" "${BUILD_DIR}" "${CACHE_DIR}" "${ENV_DIR}"; }
release() { capture "${BUILDPACK_HOME}/bin/release" "${BUILD_DIR}"; }

# Each takes an optional message first, as shunit2's own asserts do.
assertCapturedEquals() { assertEquals "$@" "$(cat "${STD_OUT}")"; }
assertCapturedNotEquals() { assertNotEquals "$@" "$(cat "${STD_OUT}")"; }
assertCaptured() { assertFileContains "$@" "${STD_OUT}"; }
assertNotCaptured() { assertFileNotContains "$@" "${STD_OUT}"; }

assertCapturedSuccess() {
	assertEquals "Exit status of: ${LAST_COMMAND}" 0 "${RETURN}"
	assertEquals "Standard error of: ${LAST_COMMAND}" "" "$(cat "${STD_ERR}")"
}

# assertCapturedError [STATUS] TEXT: failed, said so on standard output, and kept standard error empty.
assertCapturedError() {
	if [ $# -gt 1 ]; then
		assertEquals "Exit status of: ${LAST_COMMAND}" "$1" "${RETURN}"
		shift
	else
		assertNotEquals "Exit status of: ${LAST_COMMAND}" 0 "${RETURN}"
	fi
	assertFileContains "${1:-}" "${STD_OUT}"
	assertEquals "Standard error of: ${LAST_COMMAND}" "" "$(cat "${STD_ERR}")"
}

assertAppDetected() {
	assertCapturedSuccess
	assertEquals "$1" "$(cat "${STD_OUT}")"
}

assertNoAppDetected() {
	assertEquals "Exit status of: ${LAST_COMMAND}" 1 "${RETURN}"
	assertEquals "no" "$(cat "${STD_OUT}")"
	assertEquals "" "$(cat "${STD_ERR}")"
}

assertContains() { _assert_found 0 text "$@"; }
assertNotContains() { _assert_found 1 text "$@"; }
assertFileContains() { _assert_found 0 file "$@"; }
assertFileNotContains() { _assert_found 1 file "$@"; }

# _assert_found WANTED_STATUS text|file [MESSAGE] NEEDLE HAYSTACK
_assert_found() {
	_wanted="$1" _kind="$2" _message=""
	shift 2
	if [ $# -eq 3 ]; then
		_message="$1"
		shift
	fi
	_status=0
	case "${_kind}" in
		file) grep -qF -e "$1" "$2" || _status=$? ;;
		*) printf '%s\n' "$2" | grep -qF -e "$1" || _status=$? ;;
	esac
	assertEquals "${_message:-<$1> in <$2> (0: found, 1: not found)}" "${_wanted}" "${_status}"
}

assertFileMD5() { assertEquals "$1" "$(md5sum "$2" | cut -d ' ' -f 1)"; }
