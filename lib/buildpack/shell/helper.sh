#!/usr/bin/env bash
# Runs the Python programs that steps use, by their path in lib/buildpack/. They answer on standard output with status 0. Status 65 (EX_DATAERR of
# sysexits.h) means: standard error says what the user must fix. Any other is a mistake of ours.

# shellcheck disable=SC2154 # bin/compile and workspace.sh set the directories, python.sh sets PYTHON.
set -euo pipefail

HELPER_USER_ERROR=65

# helper::run KEY ANSWER PROGRAM [ARGUMENT...]: the answer goes to a file; KEY names a failure in bin/report.
function helper::run() {
	local key="${1}"
	local answer="${2}"
	local program="${3}"
	shift 3

	local status=0
	"${PYTHON}" -I -B -X utf8 "${BUILDPACK_DIR}/lib/buildpack/${program}" "${@}" \
		>"${answer}" 2>"${WORK_DIR}/error" || status="${?}"
	helper::_check "${status}" "${key}"
}

# helper::paint KEY PROGRAM [ARGUMENT...]: the same for a program that answers in lines for the build log. Those that begin with "! " are warnings.
function helper::paint() {
	local key="${1}"
	local program="${2}"
	shift 2

	local status=0
	"${PYTHON}" -I -B -X utf8 -u "${BUILDPACK_DIR}/lib/buildpack/${program}" "${@}" 2>"${WORK_DIR}/error" | output::paint \
		|| status="${?}"
	helper::_check "${status}" "${key}"
}

function helper::_check() {
	local status="${1}"
	local key="${2}"

	if [[ "${status}" == "${HELPER_USER_ERROR}" ]]; then
		failure::stop "${key}" <"${WORK_DIR}/error"
	elif [[ "${status}" != 0 ]]; then
		output::paint <"${WORK_DIR}/error"
		return "${status}"
	fi
}
