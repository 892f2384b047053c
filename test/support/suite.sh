#!/bin/sh
# shellcheck disable=SC2154 # test_utils.sh sets BUILDPACK_HOME, the directories and the captured streams.
# shellcheck disable=SC2312 # What an assert compares is a substitution: a failing command there fails the assert.
#
# What the suites add to test_utils.sh. Plain sh, as there.

# use_fixture NAME: the build directory becomes a copy of test/fixtures/NAME.
use_fixture() { cp -R "${BUILDPACK_HOME}/test/fixtures/$1/." "${BUILD_DIR}"; }

# assertCapturedExactly TEXT: standard output is this, line for line.
assertCapturedExactly() { assertEquals "Standard output of: ${LAST_COMMAND}" "$1" "$(cat "${STD_OUT}")"; }
