#!/usr/bin/env bash
# Notes for bin/report, which Heroku runs after the build whether it succeeded or not: when each step began, how it ended.

# shellcheck disable=SC2154 # bin/compile and workspace.sh set the directories, python.sh sets PYTHON.
set -euo pipefail

REPORT_FILE=/dev/null # until there's a build cache to put it in

function report::open() {
	REPORT_FILE="${CACHE_DIR}/report"
	printf 'started %s\n' "${EPOCHREALTIME}" >"${REPORT_FILE}"
}

# report::step NAME: from now on time counts for NAME.
function report::step() {
	printf 'step %s %s\n' "${EPOCHREALTIME}" "${1}" >>"${REPORT_FILE}"
}

function report::failed() {
	printf 'failed %s %s\n' "${EPOCHREALTIME}" "${1}" >>"${REPORT_FILE}"
}

function report::finished() {
	printf 'finished %s\n' "${EPOCHREALTIME}" >>"${REPORT_FILE}"
}
